import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest
from rich.console import Console
from typer.testing import CliRunner

from watchnext.cli.pipeline import Pipeline, app, compile_pipelines, run_pipeline
from watchnext.errors import UsageError, WatchnextError
from watchnext.settings import Settings


def test_a_compiler_that_dies_without_a_word_is_no_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", shutil.which("false"))

    with pytest.raises(WatchnextError, match=r"pipelines\.compile failed: exit 1 without a word"):
        compile_pipelines()


def test_a_data_set_that_there_is_none_is_refused_before_the_broker_is_asked(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def asked(*_: object, **__: object) -> None:
        raise AssertionError("the broker was asked")

    monkeypatch.setenv("WATCHNEXT_HOME", str(tmp_path))
    monkeypatch.setattr("watchnext.stream.topics.ensure_topics", asked)

    with pytest.raises(UsageError, match="no data set is called 'nosuch'"):
        CliRunner().invoke(app, ["first", "--data", "nosuch"], catch_exceptions=False)


def test_bytes_that_are_no_text_end_no_run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    python = tmp_path / "python"
    python.write_text('#!/bin/sh\nprintf "\\377\\nsaid in $PYTHONIOENCODING\\n"\n')
    python.chmod(0o755)
    monkeypatch.setattr("watchnext.cli.pipeline.sys", SimpleNamespace(executable=str(python)))
    monkeypatch.setenv("PYTHONIOENCODING", "latin-1")

    run_pipeline(Pipeline.TRAIN, Settings(home=tmp_path), Console(quiet=True))
    compile_pipelines()

    assert (tmp_path / "logs" / "pipeline-train.log").read_text() == "\ufffd\nsaid in utf-8\n"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_run_that_is_ended_leaves_nothing_that_would_publish(tmp_path: Path, number: signal.Signals) -> None:
    """Only a terminal's Ctrl-C reaches the processes of the run."""
    (tmp_path / "pipelines").mkdir()
    (tmp_path / "pipelines" / "__init__.py").touch()
    (tmp_path / "pipelines" / "run.py").write_text(
        "import os, pathlib, time\n"
        "pathlib.Path('new').write_text(str(os.getpid()))\n"
        "pathlib.Path('new').rename('pid')\n"
        "time.sleep(1000)\n"
    )
    code = (
        "from rich.console import Console\n"
        "from watchnext.cli.pipeline import Pipeline, run_pipeline\n"
        "from watchnext.settings import Settings\n"
        "run_pipeline(Pipeline.TRAIN, Settings(home='home'), Console(quiet=True))\n"
    )
    with subprocess.Popen([sys.executable, "-c", code], cwd=tmp_path, stderr=subprocess.DEVNULL) as parent:
        while not (tmp_path / "pid").exists() and parent.poll() is None:
            time.sleep(0.1)
        parent.send_signal(number)
    with suppress(psutil.NoSuchProcess):  # the task has ended before it is looked at
        task = psutil.Process(int((tmp_path / "pid").read_text()))
        try:
            task.wait(30)
        finally:
            task.kill()


@pytest.mark.parametrize(
    ("words", "refused"),
    [
        (["train", "--rows", "no-cap"], "--rows no-cap came with train; rows and seeds are the ablation's"),
        (["--seeds", "2"], "--seeds 2 came with train"),
        (["refresh_index", "--rows", "no-cap", "--seeds", "2"], "--rows no-cap --seeds 2 came with refresh_index"),
        (["ablation", "--rows", "no-cap,no-hat"], "no-hat came as rows; wanted some of towers, no-example-age"),
    ],
)
def test_what_no_pipeline_takes_is_refused_before_anything_runs(
    words: list[str], refused: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("WATCHNEXT_HOME", str(tmp_path))

    with pytest.raises(UsageError, match=refused):
        CliRunner().invoke(app, ["run", *words], catch_exceptions=False)

    assert not any(tmp_path.iterdir())
