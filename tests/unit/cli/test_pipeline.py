import shutil
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from watchnext.cli.pipeline import app, compile_pipelines
from watchnext.errors import UsageError, WatchnextError


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
