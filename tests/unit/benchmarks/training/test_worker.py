import sys
from pathlib import Path

import pytest

from benchmarks.training.worker import Worker
from watchnext.errors import WatchnextError


def counting(tmp_path: Path) -> Worker:
    return Worker(sys.executable, "tests.unit.benchmarks.training.counting", 10, tmp_path / "log")


def test_a_contender_keeps_its_state_between_questions(tmp_path: Path) -> None:
    with counting(tmp_path) as worker:
        assert worker.train(2) > 0
        assert worker.train(3) > 0
        assert worker.ask("recall") == 0.5


def test_a_contender_that_fails_is_quoted(tmp_path: Path) -> None:
    with counting(tmp_path) as worker, pytest.raises(WatchnextError, match="ValueError: no id here"):
        worker.ask("bytes_an_id")


def test_a_contender_that_ended_before_it_was_asked_is_quoted(tmp_path: Path) -> None:
    """Several wait while the first is measured: one that could not start ended the bench in a BrokenPipeError."""
    with Worker(sys.executable, "benchmarks.training.gone", 10, tmp_path / "log") as worker:
        worker._process.wait()
        with pytest.raises(WatchnextError, match=r"No module named benchmarks\.training\.gone"):
            worker.train(2)
