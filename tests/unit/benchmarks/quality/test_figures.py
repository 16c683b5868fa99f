"""Figures of ranked lists, by hand."""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from benchmarks.quality.__main__ import DATA, main, run, verdicts_of
from benchmarks.quality.figures import lines_of, read_lists
from benchmarks.quality.page import records_of, write_page
from benchmarks.quality.report import Report
from benchmarks.quality.split_files import SCHEMAS, Split
from watchnext.errors import UsageError
from watchnext.settings import Settings

QUERIES = [
    {"user": 4, "history": [], "seen": [], "targets": [1, 2]},
    {"user": 7, "history": [], "seen": [], "targets": [3]},
]
WATCHED = [{"user": 0, "video": video, "at_ms": 0, "derived": False} for video in (1, 1, 2, 3)]


def split() -> Split:
    tables = {
        "videos": pa.table({"row": [1, 2, 3, 4]}),
        "interactions": pa.Table.from_pylist(WATCHED, SCHEMAS["interactions"]),
        "queries": pa.Table.from_pylist(QUERIES, SCHEMAS["queries"]),
    }
    return Split("hand", "kuairand", "none", None, None, tables)


def lists(*rows: list[int]) -> np.ndarray:
    padded = np.zeros((len(rows), 200), np.int32)
    for at, row in enumerate(rows):
        padded[at, : len(row)] = row
    return padded


BOTH = {
    "towers": [lists([1, 2], [3]), lists([1, 4], [3])],  # recall 1 and 1, then 1/2 and 1
    "peer": [lists([4, 2], [4])],  # recall 1/2 and 0
}

ALL = {**BOTH, "merged": [lists([1, 2], [4])]}  # recall 1 and 0


def test_a_line_is_the_mean_over_seeds_and_queries() -> None:
    best, peer = lines_of(split(), BOTH, "towers", "recall@50")

    assert (best.name, best.seeds, best.difference) == ("towers", 2, None)
    assert best.values["recall@50"] == pytest.approx((1 + 0.75) / 2)
    assert best.spread["recall@50"] == pytest.approx(0.25)
    assert best.values["hit_rate@50"] == 1
    assert best.values["coverage@50"] == pytest.approx(3 / 4)  # videos 1, 2, 3 of four; then 1, 3, 4
    assert peer.values["recall@50"] == pytest.approx(0.25)
    assert peer.difference is not None
    assert peer.difference.value == pytest.approx(0.875 - 0.25)


def test_the_bars_are_those_of_the_data_and_the_best_peer() -> None:
    lines = lines_of(split(), ALL, "towers", "recall@50")
    bar, merged, over = verdicts_of(DATA["kuairand"], lines)

    assert (merged.name, merged.value, merged.wanted) == ("merged recall@50", pytest.approx(0.5), ">= 0.36")
    assert (bar.name, bar.value, bar.outcome) == ("towers recall@50", pytest.approx(0.875), "met")
    assert (over.name, over.value) == ("towers over the best peer, peer", pytest.approx(0.625))


def test_lists_are_read_of_the_contenders_there_are(tmp_path: Path) -> None:
    """What a contender that has left the code had answered stood in the report for good."""
    for name, of_seeds in {**BOTH, "left": BOTH["peer"]}.items():
        for seed, ranked in enumerate(of_seeds):
            np.savez(tmp_path / f"{name}-x-seed{seed}.npz", ranked=ranked)
        (tmp_path / f"{name}-x.json").write_text(json.dumps({"peer": name}))

    found = read_lists(tmp_path, ["towers-x", "peer-x"])

    assert records_of(tmp_path, ["towers-x", "peer-x"]) == {"towers-x": {"peer": "towers"}, "peer-x": {"peer": "peer"}}
    assert {name: len(of_seeds) for name, of_seeds in found.items()} == {"towers-x": 2, "peer-x": 1}
    assert found["peer-x"][0].tolist() == BOTH["peer"][0].tolist()


def test_the_report_has_every_contender_bar_and_choice(tmp_path: Path) -> None:
    lines = lines_of(split(), ALL, "towers", "recall@50")
    chosen = {"parameters": {"width": 8}, "answer": 1, "value": 0.5}
    record = {
        "chosen": chosen,
        "chosen by": "recall@50 on the validation data",
        "packages": {"rectools": "1.0"},
        "seconds": {"1": 3.0, "2": 5.0},
    }
    report = Report(
        title="By hand",
        split={
            "data": "hand",
            "rule": "A rule.",
            "videos": 4,
            "counts": {"queries": 2, "interactions": 4},
            "files": {"queries.parquet": "abc"},
        },
        measure="recall@50",
        lines=lines,
        records={"towers": record | {"packages": {}}, "merged": record, "peer": record},
        verdicts=verdicts_of(DATA["kuairand"], lines),
    )

    write_page(tmp_path / "hand.md", "Quality: hand", "watchnext bench quality --data hand", [report.section()])
    text = (tmp_path / "hand.md").read_text()

    assert "| towers | 2 | 0.8750 ± 0.1250 |" in text
    assert "| peer | 1 | 0.2500 |" in text
    assert "| towers recall@50 | 0.8750 | >= 0.34 | met |" in text
    assert '| peer | `{"width": 8}` | 2 | recall@50 | 0.5000 | 4 | rectools 1.0 |' in text
    page = (tmp_path / "hand.html").read_text()
    assert page.count("data:image/png;base64,") == 2
    assert "| peer | 1 | 0.2500 |" in page


def test_a_part_that_the_data_has_not_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--part ranking came for movielens-1m, which has retrieval alone"):
        run("movielens-1m", "ranking", tmp_path, Settings(home=tmp_path))


def test_what_fails_leaves_standard_output_to_json(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
):
    words = ["bench", "--data", "kuairand", "--path", str(tmp_path), "--json"]
    monkeypatch.setattr("sys.argv", words)
    monkeypatch.setenv("WATCHNEXT_HOME", str(tmp_path / "home"))

    assert main() == 1

    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith(f"error: {tmp_path}: no KuaiRand-Pure here")
