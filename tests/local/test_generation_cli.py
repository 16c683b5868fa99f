"""`watchnext generation …` against a real store and a real Milvus Lite server."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tests.local.milvus_server import MilvusServer
from tests.unit.generation.world import VIDEOS, parts
from watchnext.cli.main import app
from watchnext.errors import GenerationError, NoGenerationError
from watchnext.generation.build import build_generation
from watchnext.generation.store import GenerationStore
from watchnext.settings import load_settings


@pytest.fixture
def store(milvus_server: MilvusServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> GenerationStore:
    monkeypatch.setenv("WATCHNEXT_HOME", str(tmp_path))
    monkeypatch.setenv("WATCHNEXT_MILVUS__URI", milvus_server.uri)
    return GenerationStore.open(load_settings())


def run(*words: str) -> str:
    result = CliRunner().invoke(app, ["generation", *words], catch_exceptions=False)
    assert result.exit_code == 0
    return result.stdout


def test_list_show_publish_and_rollback(store: GenerationStore, tmp_path: Path):
    assert json.loads(run("list", "--json")) == []
    assert "Next: watchnext pipeline run" in run()
    with pytest.raises(NoGenerationError, match="watchnext pipeline run"):
        run("publish")

    first = build_generation(store, parts(snapshot=f"{tmp_path}-1")).generation
    assert json.loads(run("publish", "--json"))["generation"] == first
    second = build_generation(store, parts(seed=2, snapshot=f"{tmp_path}-2")).generation
    assert f"live: {second}.0  previous: {first}.0" in run("publish", second)

    listed = {row["generation"]: row for row in json.loads(run("list", "--json"))}
    assert (listed[second]["state"], listed[first]["state"]) == ("live", "previous")
    assert listed[first]["videos"] == VIDEOS
    shown = json.loads(run("show", "--json"))
    assert (shown["generation"], shown["state"], shown["metrics"]) == (second, "live", {"recall@100": 0.25})
    for text in (run(), run("list"), run("show", first)):
        assert first in text
        assert "Next: watchnext " in text

    assert json.loads(run("rollback", "--json"))["generation"] == first
    with pytest.raises(GenerationError, match="no such overlay"):
        run("publish", first, "--overlay", "4")


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["generation", "show"], 1, "error: nothing is published"),
        (["generation", "show", "feedfacefeedface"], 1, "error: there is no generation 'feedfacefeedface'"),
        (["generation", "publish", "--overlay", "-1"], 2, "Invalid value"),
    ],
)
def test_a_failure_is_one_line_and_an_exit_code(tmp_path: Path, words: list[str], code: int, said: str):
    done = subprocess.run(
        [sys.executable, "-c", "from watchnext.cli.main import main; main()", *words],
        env={**os.environ, "WATCHNEXT_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == code
    assert said in done.stderr
    assert "Traceback" not in done.stderr
