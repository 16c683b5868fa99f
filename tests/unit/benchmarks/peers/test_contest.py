"""What a contender leaves in its folder, for the report that reads all of it."""

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from benchmarks.peers.choice import Parameters
from benchmarks.peers.contest import Answer, Task, compete
from benchmarks.quality.figures import read_lists
from benchmarks.quality.split_files import Split, write_split

TASK = Task("ranked", "first", lambda split, answer: float(answer[0]))


@pytest.fixture
def splits(tmp_path: Path) -> dict[str, Path]:
    """The three folders of `compete`."""
    folders = {name: tmp_path / name for name in ("valid", "test", "out")}
    for name in ("valid", "test"):
        tables = {"queries": pa.table({"user": [1]})}
        write_split(Split(name, "data", "rule", None, None, tables | {"videos": tables["queries"]}), folders[name])
    folders["out"].mkdir()
    return folders


def answers(split: Split, parameters: Parameters, seed: int) -> Iterator[Answer]:
    yield np.array([parameters["a"], seed], np.int32)


def test_no_seed_of_other_parameters_is_left_for_the_report(splits: dict[str, Path]) -> None:
    """A contender that is asked fewer seeds had the mean of its new answers and of old ones told as its own."""
    compete("mine", answers, [{"a": 7}], (1, 2, 3), task=TASK, **splits)
    compete("mine-too", answers, [{"a": 7}], (1,), task=TASK, **splits)
    compete("mine", answers, [{"a": 8}], (1,), task=TASK, **splits)

    found = read_lists(splits["out"], ["mine", "mine-too"])
    assert [one.tolist() for one in found["mine"]] == [[8, 1]]
    assert [one.tolist() for one in found["mine-too"]] == [[7, 1]]


def test_the_seeds_of_the_task_choose(splits: dict[str, Path]) -> None:
    """Of one seed the first combination is better, of two the second."""
    value = {("first", 1): 0.9, ("first", 2): 0.0, ("second", 1): 0.5, ("second", 2): 0.6}

    def of(split: Split, parameters: Parameters, seed: int) -> Iterator[Answer]:
        assert split.name == "test" or seed < 3  # it has no say
        yield np.array([value.get((parameters["a"], seed), 0.0)])

    for choosing, chosen in (((1,), "first"), ((1, 2), "second")):
        task = Task("ranked", "first", lambda split, answer: float(answer[0]), choosing)
        compete("mine", of, [{"a": "first"}, {"a": "second"}], (1, 2, 3), task=task, **splits)
        record = json.loads((splits["out"] / "mine.json").read_text())
        assert record["chosen"]["parameters"] == {"a": chosen}
