"""`watchnext pipeline compile` with the real compiler; the folders that runs leave."""

import json
from pathlib import Path

from typer.testing import CliRunner

from pipelines.run import remove_old_runs
from watchnext.cli.pipeline import app


def test_compile_names_its_files_as_json_and_the_next_step(tmp_path: Path) -> None:
    files = [str(tmp_path / name) for name in ("train.yaml", "train-cpu.yaml", "refresh_index.yaml", "ablation.yaml")]

    as_json = CliRunner().invoke(app, ["compile", "--to", str(tmp_path), "--json"])
    told = CliRunner().invoke(app, ["compile", "--to", str(tmp_path)])

    assert json.loads(as_json.stdout) == {"compiled": files}
    assert all(Path(file).is_file() for file in files)
    assert f"Next: kfp run create -e EXPERIMENT -f {files[0]}" in told.stdout


def test_hourly_refreshes_leave_a_training_that_runs_and_the_card_of_an_ablation(tmp_path: Path) -> None:
    names = ["watchnext-train-2026-11-28-00-05-00-000001", "watchnext-ablation-2026-11-27-02-00-00-000001"]
    refreshes = [f"watchnext-refresh-index-2026-11-28-0{hour}-00-00-000001" for hour in range(1, 6)]
    for name in (*names, *refreshes):
        (tmp_path / name).mkdir()

    remove_old_runs(tmp_path)

    assert {path.name for path in tmp_path.iterdir()} == {*names, *refreshes[-2:]}
