"""`watchnext pipeline compile` with the real compiler."""

import json
from pathlib import Path

from typer.testing import CliRunner

from watchnext.cli.pipeline import app


def test_compile_names_its_files_as_json_and_the_next_step(tmp_path: Path) -> None:
    files = [str(tmp_path / name) for name in ("train.yaml", "train-cpu.yaml", "refresh_index.yaml", "ablation.yaml")]

    as_json = CliRunner().invoke(app, ["compile", "--to", str(tmp_path), "--json"])
    told = CliRunner().invoke(app, ["compile", "--to", str(tmp_path)])

    assert json.loads(as_json.stdout) == {"compiled": files}
    assert all(Path(file).is_file() for file in files)
    assert f"Next: kfp run create -e EXPERIMENT -f {files[0]}" in told.stdout
