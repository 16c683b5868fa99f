import shutil
import sys

import pytest

from watchnext.cli.pipeline import compile_pipelines
from watchnext.errors import WatchnextError


def test_a_compiler_that_dies_without_a_word_is_no_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", shutil.which("false"))

    with pytest.raises(WatchnextError, match=r"pipelines\.compile failed: exit 1 without a word"):
        compile_pipelines()
