"""The contenders out of this repository, on a split whose answers are known by hand."""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from benchmarks.peers.choice import grid
from benchmarks.quality.contender import Contender, item_cosine
from benchmarks.quality.split_files import SCHEMAS, Split, write_split

VIDEOS = ("a", "b", "c", "d", "e")  # rows 1 to 5


def split_of(name: str, target: int) -> Split:
    """Users 0 and 1 met a and b, 2 and 3 met c, d and e; 4 and 5 have met a and c, and ask."""
    pairs = [(0, 1), (0, 2), (1, 1), (1, 2), (2, 3), (2, 4), (2, 5), (3, 3), (3, 4), (4, 1), (5, 3)]
    rows = {
        "videos": [
            {"row": row, "video_id": video, "channel_id": "x", "topics": [], "seconds": 9.0, "uploaded_ms": 0}
            for row, video in enumerate(VIDEOS, start=1)
        ],
        "users": [{"user": user, "user_id": str(user)} for user in range(6)],
        "interactions": [
            {"user": user, "video": video, "at_ms": at, "derived": False} for at, (user, video) in enumerate(pairs)
        ],
        "queries": [
            {"user": 4, "history": [1], "seen": [1], "targets": [2]},
            {"user": 5, "history": [3], "seen": [3], "targets": [target]},
        ],
    }
    tables = {table: pa.Table.from_pylist(lines, schema=SCHEMAS[table]) for table, lines in rows.items()}
    return Split(name, "hand", "none", 100, None, tables)


def test_item_cosine_lists_what_the_same_users_met() -> None:
    lists = item_cosine(split_of("test", 4), {"bag": "history"}, 1)

    assert lists[0, 0] == 2
    assert lists[1, :2].tolist() == [4, 5]  # both users met d with c, one of them e
    assert 1 not in lists[0]


def test_parameters_are_chosen_on_the_validation_and_nothing_is_done_twice(tmp_path: Path) -> None:
    asked: list[str] = []

    def answer(split: Split, parameters: dict[str, int], seed: int) -> np.ndarray:
        asked.append(split.name)
        lists = np.zeros((2, 200), np.int32)
        lists[:, 0] = [2, parameters["second"]]
        return lists

    for name, target in (("valid", 4), ("test", 5)):
        write_split(split_of(name, target), tmp_path / name)
    contender = Contender("hand", answer, grid(second=[5, 4]), "recall", seeds=(1, 2))
    contender.run(tmp_path / "valid", tmp_path / "test", tmp_path)
    (tmp_path / "valid" / "interactions.parquet").unlink()  # not even read again
    contender.run(tmp_path / "valid", tmp_path / "test", tmp_path)

    assert asked == ["valid", "valid", "test", "test"]
    record = json.loads((tmp_path / "hand.json").read_text())
    assert record["chosen"]["parameters"] == {"second": 4}  # though 5 would be right on the test
    assert [trial["value"] for trial in record["tried"]] == pytest.approx([0.5, 1.0])
    with np.load(tmp_path / "hand-seed2.npz") as arrays:
        assert arrays["ranked"][1, 0] == 4


def test_a_run_that_was_cut_off_goes_on_where_it_was(tmp_path: Path) -> None:
    done: list[tuple[str, int]] = []
    cut_off = [("valid", 5), ("test", 2)]  # the second combination, then the second seed

    def answer(split: Split, parameters: dict[str, int], seed: int) -> np.ndarray:
        now = (split.name, parameters["second"] if split.name == "valid" else seed)
        if cut_off and now == cut_off[0]:
            cut_off.pop(0)
            raise InterruptedError
        done.append(now)
        lists = np.zeros((2, 200), np.int32)
        lists[:, 0] = [2, parameters["second"]]
        return lists

    for name, target in (("valid", 4), ("test", 5)):
        write_split(split_of(name, target), tmp_path / name)
    contender = Contender("hand", answer, grid(second=[4, 5]), "recall", seeds=(1, 2))
    for _ in range(2):
        with pytest.raises(InterruptedError):
            contender.run(tmp_path / "valid", tmp_path / "test", tmp_path)
    contender.run(tmp_path / "valid", tmp_path / "test", tmp_path)

    assert done == [("valid", 4), ("valid", 5), ("test", 1), ("test", 2)]
    said = json.loads((tmp_path / "hand.json").read_text())
    assert [trial["parameters"] for trial in said["tried"]] == [{"second": 4}, {"second": 5}]
    assert set(said["seconds"]) == {"1", "2"}
