"""Figures, bars and the report's section of scores, by hand."""

from pathlib import Path

import numpy as np
import pytest

from benchmarks.quality.impressions import TABLE, Impressions
from benchmarks.quality.page import write_page
from benchmarks.quality.ranking_figures import (
    AUC,
    AUC_OF_SURFACE,
    BOOSTING,
    CALIBRATION,
    LONG_VIEW,
    LOSS,
    NDCG,
    PER_USER_AUC,
    UNWEIGHTED,
    WATCH_TIME,
    XAUC,
    lines_of,
    read_scores,
)
from benchmarks.quality.ranking_report import RankingReport, verdicts_of

SECONDS = np.array([30, 0, 10, 0, 20, 0, 0, 40], np.float32)  # of users 1 and 2, four each
ASKED = Impressions(
    held_out=np.ones(8, bool),
    features=np.zeros((8, 1), np.float32),
    context=np.zeros((8, 1), np.int64),
    surface=np.array(["tab-1"] * 4 + ["tab-4"] * 4),
    video=np.ones(8, np.int64),
    person=np.repeat([1, 2], 4),
    clicked=SECONDS > 0,
    seconds=SECONDS,
    long_view=SECONDS >= 20,
    video_seconds=np.arange(10, 90, 10, dtype=np.float32),
)
RIGHT = SECONDS.astype(np.float64)
WRONG = -RIGHT
SCORES = {
    LONG_VIEW: np.stack([RIGHT, WRONG]),
    WATCH_TIME: np.stack([RIGHT, 2 * RIGHT]),
    UNWEIGHTED: WRONG[None],
    BOOSTING: np.full((1, 8), 12.5),
}


def test_a_line_has_the_figures_of_each_seed_and_ours_minus_it() -> None:
    lines = {line.name: line for line in lines_of(ASKED, SCORES)}

    assert lines[LONG_VIEW].values[AUC] == [1, 0]
    assert lines[LONG_VIEW].values[AUC_OF_SURFACE] == [1, 0]
    assert lines[LONG_VIEW].values[PER_USER_AUC] == [1, 0]
    assert CALIBRATION not in lines[LONG_VIEW].values
    assert lines[WATCH_TIME].values[CALIBRATION] == [1, 2]
    assert lines[WATCH_TIME].values[LOSS] == [0, 0]
    assert lines[WATCH_TIME].values[NDCG] == pytest.approx([1, 1])
    assert lines[WATCH_TIME].differences == {}
    assert lines[BOOSTING].values[CALIBRATION] == [1]
    ours_minus_wrong = lines[UNWEIGHTED].differences
    assert {name: ours_minus_wrong[name].value for name in (AUC, PER_USER_AUC, XAUC, LOSS)} == {
        AUC: 0.5,
        PER_USER_AUC: 0.5,
        XAUC: 1,
        LOSS: -1,
    }
    assert lines[BOOSTING].differences[XAUC].value == 0.5  # all its scores tie


def test_the_bars_are_ours_and_the_weighted_regression_over_the_others() -> None:
    verdicts = verdicts_of(lines_of(ASKED, SCORES))

    assert [(one.name, one.value, one.outcome) for one in verdicts[:4]] == [
        ("ranker, long view, AUC", 0.5, "missed"),
        ("ranker, long view, per-user AUC", 0.5, "missed"),
        ("ranker, long view, AUC tab-1", 0.5, "missed"),
        ("ranker, watch time, calibration of the furthest seed: distance from 1", 1.0, "missed"),  # of the seed with 2
    ]
    assert {one.name: one.outcome for one in verdicts[4:]} == {
        f"ranker, watch time minus {name}, {figure}": "met"
        for name in (UNWEIGHTED, BOOSTING)
        for figure in (NDCG, LOSS, XAUC)
    }
    worse = SCORES | {WATCH_TIME: np.stack([WRONG, WRONG]), UNWEIGHTED: RIGHT[None]}
    assert [one.outcome for one in verdicts_of(lines_of(ASKED, worse))[4:7]] == ["missed"] * 3


def test_scores_are_read_by_contender_and_the_ranker_by_head(tmp_path: Path) -> None:
    for seed in (1, 2):
        np.savez(tmp_path / f"ranker-seed{seed}.npz", scores=np.array([[1.0, 2.0], [3.0, 4.0]]) * seed)
    np.savez(tmp_path / "lightgbm-watch-time-seed1.npz", scores=np.array([5.0, 6.0]))
    np.savez(tmp_path / "left-the-code-seed1.npz", scores=np.array([7.0, 8.0]))

    found = read_scores(tmp_path, ["ranker", "lightgbm-watch-time"])
    assert {name: scores.tolist() for name, scores in found.items()} == {
        "lightgbm-watch-time": [[5, 6]],
        LONG_VIEW: [[1, 2], [2, 4]],
        WATCH_TIME: [[3, 4], [6, 8]],
    }


def test_the_section_has_figures_differences_and_calibration_by_length(tmp_path: Path) -> None:
    record = {
        "chosen": {"parameters": {"epochs": 1}, "answer": 0, "value": 0.5},
        "chosen by": "long view AUC on the validation data",
        "packages": {},
        "seconds": {"1": 3.0},
    }
    always = SECONDS + 1  # so that no decile of length has nothing to be calibrated against
    report = RankingReport(
        title="Ranking by hand",
        split={"rule": "A rule.", "counts": {TABLE: 12}, "files": {f"{TABLE}.parquet": "abc"}},
        asked=Impressions(**ASKED.columns() | {"seconds": always}),
        scores=SCORES,
        lines=lines_of(ASKED, SCORES),
        records={"ranker": record},
    )
    write_page(tmp_path / "hand.md", "Quality: hand", "a command", [report.section()])
    text = (tmp_path / "hand.md").read_text()

    assert "4 impressions to learn from, 8 to score: 37.5% long views, 50.0% on tab-1." in text
    assert "| ranker, long view | 2 | 0.5000 ± 0.5000 | 0.5000 ± 0.5000 |" in text
    assert "| ranker-unweighted | +0.5000 (" in text
    assert "| 10.0 | 1 | 45.00 | 31.00 | 1.452 |" in text  # the first impression: (30 + 60) / 2 of 31
    assert '| ranker | `{"epochs": 1}` | 1 | long view AUC | 0.5000 | 3 | this repository |' in text
    assert (tmp_path / "hand.html").read_text().count("data:image/png;base64,") == 2
