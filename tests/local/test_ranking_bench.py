"""The ranking half of the quality bench on a slice of a few users: its split, and our rankers' scores."""

import gzip
import json
from pathlib import Path

import numpy as np
import pytest

from benchmarks.peers.choice import grid
from benchmarks.quality import ranking, ranking_split
from benchmarks.quality.impressions import TABLE, Impressions
from benchmarks.quality.ranking_figures import LONG_VIEW, WATCH_TIME, read_scores
from benchmarks.quality.split_files import Split, read_split
from benchmarks.quality.splits import TEST_CUT_MS, VALID_CUT_MS
from watchnext.clock import HOUR_MS
from watchnext.features.spec import RANKER_FEATURES
from watchnext.training.example_set import ExampleSet

USERS, VIDEOS = 6, 100
BEFORE, AFTER = 60, 12  # hours around the test cut
LOG = "user_id,video_id,date,hourmin,time_ms,is_click,long_view,play_time_ms,duration_ms,tab\n"


def slice_folder(folder: Path) -> Path:
    """Each hour each user sees a video, clicks two of three and views one of them for long, on tab 1 or tab 4."""
    rows = []
    for hour in range(-BEFORE, AFTER):
        for user in range(USERS):
            video, kind = (hour + BEFORE + 5 * user) % VIDEOS, (hour + user) % 3
            at, played, tab = TEST_CUT_MS + hour * HOUR_MS, (500, 5_000, 30_000)[kind], (1, 4)[user % 2]
            rows.append(f"{user},{video},20220427,2300,{at},{int(kind > 0)},{int(kind == 2)},{played},40000,{tab}\n")
    tables = {
        "impressions": LOG + "".join(rows),
        "users": "user_id,register_days\n" + "".join(f"{user},5\n" for user in range(USERS)),
        "history_before_0425": "user_id,history_len,last_time_ms,watch_seq,like_seq,long_watch_seq\n"
        f"0,1,{VALID_CUT_MS - 100 * HOUR_MS},99,,99\n",
    }
    folder.mkdir()
    for name, text in tables.items():
        (folder / f"{name}.csv.gz").write_bytes(gzip.compress(text.encode()))
    videos = "".join(f"{video},7,2022-04-10,40000.0,3\n" for video in range(VIDEOS))
    (folder / "videos.csv").write_text("video_id,author_id,upload_dt,video_duration,tag\n" + videos)
    return folder


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of the data, and both splits."""
    bench = tmp_path_factory.mktemp("bench")
    folder = slice_folder(bench / "data")
    ranking_split.ranking_split(folder, bench / "valid", VALID_CUT_MS, TEST_CUT_MS)
    ranking_split.ranking_split(folder, bench / "test")
    return bench


@pytest.fixture(scope="module")
def test_split(bench: Path) -> Split:
    return read_split(bench / "test")


def test_impressions_before_the_cut_are_learnt_from_and_those_after_it_are_asked(test_split: Split) -> None:
    data = Impressions.of(test_split)

    assert len(data.past.clicked) == BEFORE * USERS
    assert len(data.asked.clicked) == (AFTER - 1) * USERS  # of the last hour the click window is open
    assert data.features.shape == (len(data.held_out), len(RANKER_FEATURES))
    assert test_split.tables[TABLE].schema.field("features").type[0].name == RANKER_FEATURES[0]
    assert set(data.surface) == {"tab-1", "tab-4"}
    assert data.asked.clicked.mean() == pytest.approx(2 / 3, abs=0.01)
    assert data.asked.seconds[data.asked.long_view].tolist() == [30.0] * int(data.asked.long_view.sum())


def test_the_validation_log_ends_at_the_test_cut(bench: Path) -> None:
    held_out = ExampleSet.load(bench / "valid" / ranking_split.EXAMPLES)

    assert held_out.meta.split_ms == VALID_CUT_MS
    assert held_out.meta.end_ms < TEST_CUT_MS
    assert Impressions.of(read_split(bench / "valid")).asked.clicked.size == 23 * USERS


def test_what_is_there_of_the_same_is_not_made_again(bench: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: object) -> None:
        raise AssertionError("the examples are made again")

    monkeypatch.setattr(ranking_split, "build_examples", never)
    ranking_split.ranking_split(bench / "data", bench / "test")
    with pytest.raises(AssertionError, match="made again"):
        ranking_split.ranking_split(bench / "data", bench / "test", TEST_CUT_MS + HOUR_MS)


def test_our_rankers_score_each_held_out_impression_with_a_line_a_head(
    bench: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ranking, "GRID", grid(epochs=[1], learning_rate=[0.001]))
    monkeypatch.setattr(ranking, "SEEDS", (1, 2))
    ranking.run_rankers(bench / "valid", bench / "test", tmp_path)

    found = read_scores(tmp_path, [ranking.RANKER, ranking.UNWEIGHTED])
    asked = (AFTER - 1) * USERS
    assert {name: scores.shape for name, scores in found.items()} == {
        LONG_VIEW: (2, asked),
        WATCH_TIME: (2, asked),
        ranking.UNWEIGHTED: (2, asked),
    }
    assert found[WATCH_TIME].min() > 0
    assert found[ranking.UNWEIGHTED].mean() < 10 < found[WATCH_TIME].mean()  # odds of a click are 2, seconds are 11.7
    record = json.loads((tmp_path / "ranker.json").read_text())
    assert record["chosen by"].startswith("mean of long view AUC and 1 - weighted per-user loss")


def test_the_unweighted_ranker_learns_from_clicks_of_one_second(bench: Path, tmp_path: Path) -> None:
    copied = ExampleSet.load(ranking.clicks_alone(bench / "test" / ranking_split.EXAMPLES, tmp_path / "copy"))

    past = copied.ranker.read()
    assert len(past) == BEFORE * USERS
    assert np.array_equal(past.seconds, past.clicked)
