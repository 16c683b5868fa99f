"""What our towers read of a split, on the data set written by hand of `test_splits`."""

from pathlib import Path

import numpy as np

from benchmarks.quality.ours import towers_lists, write_examples
from benchmarks.quality.split_files import DEPTH, Split, lists_of
from benchmarks.quality.splits import kuairand_split, movielens_split
from tests.unit.benchmarks.quality.test_splits import CUT, RATINGS, films_folder, slice_folder
from watchnext.clock import DAY_MS
from watchnext.settings import Settings, Training
from watchnext.training.example_set import ExampleSet

SETTINGS = Settings(profile="tiny", training=Training(threads=1, tower_epochs=1))


def split_of(folder: Path) -> Split:
    return kuairand_split(slice_folder(folder), folder / "split")


def videos_of(data: ExampleSet, bags: np.ndarray) -> list[list[str]]:
    return [[data.videos.video_ids[row] for row in bag if row] for bag in bags.tolist()]


def test_a_label_has_a_time_of_its_own_and_is_told_by_what_came_before_it(tmp_path: Path) -> None:
    write_examples(SETTINGS, split_of(tmp_path), tmp_path / "examples")
    data = ExampleSet.load(tmp_path / "examples")
    examples = data.towers.read()

    assert [data.videos.video_ids[row] for row in examples.row] == ["100", "101", "100"]
    # the two of one moment do not know of each other, and none of the derived history is a label
    assert videos_of(data, examples.users.history) == [
        ["104", "102"],
        ["104", "102", "100"],
        ["104", "102", "100"],
    ]
    assert videos_of(data, examples.users.shown) == [
        ["104", "102", "101", "102"],
        ["104", "102", "101", "102", "100"],
        ["104", "102", "101", "102", "100"],
    ]
    assert examples.age_days.tolist() == np.array([3, 2, 2], np.float32).__truediv__(DAY_MS).tolist()


def test_with_a_cut_for_each_user_order_tells_what_came_before_and_age_counts_to_their_own_cut(tmp_path: Path) -> None:
    split = movielens_split(films_folder(tmp_path / "ml", RATINGS), tmp_path / "split")
    write_examples(SETTINGS, split, tmp_path / "examples")
    data = ExampleSet.load(tmp_path / "examples")
    examples = data.towers.read()

    names = ["", *split.tables["videos"]["video_id"].to_pylist()]
    at = {names[video]: video for video in range(1, len(names))}
    histories = [[at[name] for name in bag] for bag in videos_of(data, examples.users.history)]
    labels = [at[data.videos.video_ids[row]] for row in examples.row]
    # the split's interactions are user 2's film 1, then of one moment 2, 1 of user 0 and 3, 1, 4 of user 1, user 2's 2
    assert list(zip(histories, labels, strict=True)) == [([2], 1), ([3], 1), ([3, 1], 4), ([1], 2)]
    assert examples.age_days.tolist() == [np.float32(1 / DAY_MS)] * 4  # each is its user's last moment


def test_a_query_is_asked_as_of_the_cut(tmp_path: Path) -> None:
    write_examples(SETTINGS, split_of(tmp_path), tmp_path / "examples")
    data = ExampleSet.load(tmp_path / "examples")

    assert videos_of(data, data.queries.users.history) == [["104", "102", "100", "101", "100"], []]
    assert videos_of(data, data.queries.users.shown) == [["104", "102", "101", "102", "100", "101", "100"], []]
    assert data.queries.users.hour.tolist() == [CUT // 3_600_000 % 24] * 2
    assert videos_of(data, np.array(data.queries.targets)) == [["103"], ["104"]]


def test_lists_are_rows_of_the_split_without_what_was_seen(tmp_path: Path) -> None:
    split = split_of(tmp_path)
    ranked = towers_lists(SETTINGS.model_copy(update={"home": tmp_path}), split, tmp_path)

    assert ranked.shape == (2, DEPTH)
    seen = lists_of(split.queries["seen"])
    for query, rows in enumerate(ranked.tolist()):
        assert {row for row in rows if row} == set(range(1, 6)) - set(seen[query].tolist())
