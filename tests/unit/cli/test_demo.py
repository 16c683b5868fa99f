import json
import subprocess
import sys
from pathlib import Path

import pytest

from watchnext.cli.demo import open_once, side_by_side
from watchnext.errors import DataError
from watchnext.settings import load_settings


def test_contenders_stand_side_by_side():
    metrics = {
        "item cosine recall@50": 0.5,
        "popular recall@50": 0.25,
        "ranker auc": 0.75,
        "towers recall@50": 0.625,
        "video mean auc": 0.5,
    }
    assert list(side_by_side(metrics)) == [
        (["ranker", "video mean"], [["auc", "0.7500", "0.5000"]]),
        (["item cosine", "popular", "towers"], [["recall@50", "0.5000", "0.2500", "0.6250"]]),
    ]


def home_of(folder: Path, *, data: str, path: str = "", user: str = "", sent: bool = True, sample: str = "") -> Path:
    """A home as a demo of `data` leaves it."""
    home = folder / "home"
    home.mkdir()
    (home / "demo.json").write_text(json.dumps({"data": data, "path": path, "user": user}))
    shift = {"days": 3, "fixed_at_ms": 1, "events": 100, "finished_at_ms": 2 if sent else 0, "sample": sample}
    (home / "replay.json").write_text(json.dumps({data: shift}))
    return home


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--data", "movielen"], 2, "no data set is called 'movielen'; there are movielens, kuairand, simulator"),
        (["--data", "../movielens"], 2, "no data set is called '../movielens'"),
        (["--data", "kuairand"], 1, "no KuaiRand-Pure here"),
        (["--data", "kuairand", "--data-path", "/nowhere"], 1, "no KuaiRand-Pure here"),
        (["--data-path", "/nowhere"], 2, "/nowhere came, and "),
        (["-k", "0"], 2, "k = 0 came; wanted 1 to 500"),
    ],
)
def test_a_data_set_that_is_not_there_moves_no_home(tmp_path: Path, arguments: list[str], code: int, message: str):
    home = home_of(tmp_path, data="movielens")
    before = sorted(tmp_path.rglob("*"))
    watchnext = [str(Path(sys.executable).parent / "watchnext"), "--set", f"home={home}", "--set", f"shared={tmp_path}"]

    run = subprocess.run([*watchnext, "demo", *arguments], capture_output=True, text=True, check=False, timeout=120)

    assert run.returncode == code
    assert message in run.stderr
    assert "Traceback" not in run.stderr
    assert sorted(tmp_path.rglob("*")) == before


def test_the_files_of_a_finished_demo_are_not_read_again(tmp_path: Path):
    home = home_of(tmp_path, data="movielens", path=str(tmp_path / "removed since"), user="8")

    assert open_once(load_settings(home=home), "movielens", None, user="") is None
    assert open_once(load_settings(home=home), "movielens", tmp_path / "removed since", user="") is None


@pytest.mark.parametrize("left", [{"sent": False}, {"sample": "10 users, 30 days"}])
def test_a_demo_that_was_cut_short_or_holds_a_sample_is_opened_again(tmp_path: Path, left: dict):
    home = home_of(tmp_path, data="simulator", user="u1", **left)

    dataset = open_once(load_settings(home=home), "simulator", None, user="u1")

    assert dataset is not None
    assert dataset.name == "simulator"


@pytest.mark.parametrize("home", [".", "/"])
def test_a_home_that_holds_the_current_folder_is_refused_before_data_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, home: str
):
    """`/` ended in a traceback, and MovieLens was fetched into the current folder before it was refused."""
    monkeypatch.chdir(tmp_path)

    with pytest.raises(DataError, match="is the current folder, or holds it: set WATCHNEXT_HOME"):
        open_once(load_settings(home=Path(home)), "simulator", None, user="")


def test_the_lag_is_asked_for_without_feast():
    code = "import sys, watchnext.stream.lag; print(sorted({'feast', 'pandas', 'torch'} & set(sys.modules)))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert run.stdout.strip() == "[]"
