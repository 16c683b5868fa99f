"""What our merged list reads of a split, on the data set written by hand of `test_splits`."""

from pathlib import Path

import numpy as np

from benchmarks.quality import merged, ours
from benchmarks.quality.split_files import DEPTH, lists_of
from tests.unit.benchmarks.quality.test_ours import SETTINGS, split_of
from watchnext.clock import DAY_MS
from watchnext.training.example_set import ExampleSet


def test_lists_are_rows_of_the_split_without_what_was_seen(tmp_path: Path) -> None:
    split = split_of(tmp_path)
    ranked = merged.lists(SETTINGS.model_copy(update={"home": tmp_path}), split, tmp_path)

    assert ranked.shape == (2, DEPTH)
    seen = lists_of(split.queries["seen"])
    for query, rows in enumerate(ranked.tolist()):
        assert {row for row in rows if row} == set(range(1, 6)) - set(seen[query].tolist())


def test_popularity_is_of_watches_with_a_time_before_the_cut_and_fades_in_three_days(tmp_path: Path) -> None:
    split = split_of(tmp_path)
    ours.write_examples(SETTINGS, split, tmp_path / "examples")
    data = ExampleSet.load(tmp_path / "examples")
    counted = merged.counted(data, split, ours.split_rows(data, split))

    watched = [row for row in split.interactions.to_pylist() if not row["derived"]]
    wanted = dict.fromkeys(range(6), 0.0)
    for row in watched:
        wanted[row["video"]] += 2 ** -((split.cut_ms - row["at_ms"]) / (3 * DAY_MS))
    ids = ["", *split.tables["videos"]["video_id"].to_pylist()]
    by_id = {ids[row]: value for row, value in wanted.items()}
    assert len(watched) > 1
    np.testing.assert_allclose(counted, [by_id[video_id] for video_id in data.videos.video_ids], rtol=1e-6)
