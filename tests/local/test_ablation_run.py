"""The ablation under KFP's local runner: a loop over rows and seeds, and one card of all of them."""

import json
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from benchmarks.quality.event_log import records_of, write_records
from pipelines.compile import COMPILED
from watchnext.cli.pipeline import app
from watchnext.data.simulator import Simulator
from watchnext.data.truth import WorldConfig
from watchnext.settings import Settings


def test_rows_and_seeds_are_trained_and_shown_on_one_card(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    settings = Settings(home=tmp_path)
    write_records(settings, records_of(Simulator(WorldConfig(users=60, videos=80, uploads_per_day=4), days=8)))
    variables = {"HOME": tmp_path, "PROFILE": "tiny", "TRAINING__THREADS": 1, "TRAINING__CAP_PER_USER": 2}
    for name, value in variables.items():
        monkeypatch.setenv(f"WATCHNEXT_{name}", str(value))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")

    done = CliRunner().invoke(app, ["run", "ablation", "--rows", "no-cap", "--seeds", "2", "--json"])

    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    assert {(row["name"], row["metric"], len(row["differences"])) for row in told["rows"]} == {
        ("no-cap", "recall@50", 2),
        ("no-cap", "map@50", 2),
    }
    assert all(difference != 0 for row in told["rows"] for difference in row["differences"])
    page = Path(told["card"]).read_text()
    assert "data:image/png;base64," in page
    assert "| no-cap |" in (Path(told["card"]).parent / "text").read_text()


def test_on_a_cluster_every_trial_is_a_task_of_a_loop():
    pipeline, _ = yaml.safe_load_all((COMPILED / "ablation.yaml").read_text())
    loops = [task for task in pipeline["root"]["dag"]["tasks"].values() if "parameterIterator" in task]
    assert len(loops) == 1
    body = pipeline["components"][loops[0]["componentRef"]["name"]]["dag"]["tasks"]
    assert list(body) == ["trial"]
    parameters = body["trial"]["inputs"]["parameters"]
    for name in ("row", "seed", "snapshot_id", "settings"):
        assert parameters[name]["parameterExpressionSelector"].endswith(f'["{name}"]')
