import os
from pathlib import Path

import pytest
import torch
from structlog.testing import capture_logs
from torch import nn

from watchnext.clock import DAY_MS, FixedClock
from watchnext.errors import DataError
from watchnext.settings import Settings, Training
from watchnext.training import checkpoint
from watchnext.training.checkpoint import KEPT_DAYS, Checkpoints
from watchnext.training.optimiser import Optimiser
from watchnext.training.progress import Course

NOW_MS = 100 * DAY_MS


class Run:
    """One process of a training of a layer."""

    def __init__(self, home: Path, *, data: str = "monday", seed: int = 1, outputs: int = 1) -> None:
        self.model = nn.Linear(2, outputs)
        self.optimiser = Optimiser(self.model, learning_rate=0.1)
        self.seconds = 0.0
        settings = Settings(home=home, training=Training(seed=seed, checkpoint_minutes=2))
        clock = FixedClock(NOW_MS)
        self.checkpoints = Checkpoints(
            settings, "it", self.model, self.optimiser, [data], clock=clock, monotonic=lambda: self.seconds
        )

    def step(self, course: Course) -> None:
        self.optimiser.zero_grad()
        self.model(torch.ones(1, 2)).sum().backward()
        self.optimiser.step()
        course.record(float(course.step))
        self.checkpoints.step(course)


def left_by_a_killed_run(home: Path, steps: int = 3) -> Run:
    run, course = Run(home), Course()
    for _ in range(steps):
        run.seconds += 120
        run.step(course)
    return run


def test_the_next_process_goes_on_where_the_last_checkpoint_was(tmp_path):
    killed, resumed = left_by_a_killed_run(tmp_path), Run(tmp_path)
    course = resumed.checkpoints.restore()
    assert (course.step, course.epoch_loss, list(course.recent)) == (3, 0.0 + 1.0 + 2.0, [0.0, 1.0, 2.0])
    killed.step(course)
    resumed.step(course)  # both of them from the same moments of Adam
    assert torch.equal(resumed.model.weight, killed.model.weight)


def test_a_release_of_other_features_does_not_go_on_with_weights_of_these(tmp_path, monkeypatch):
    """The same snapshot frozen again has the same id, and other features may have the same shapes."""
    left_by_a_killed_run(tmp_path)
    monkeypatch.setattr(checkpoint, "spec_hash", lambda: "0123456789abcdef")
    assert Run(tmp_path).checkpoints.restore().step == 0


def test_checkpoints_are_as_far_apart_as_the_setting_says(tmp_path):
    run, course = Run(tmp_path), Course()
    for seconds, written in ((119, False), (120, True), (239, False), (240, True)):
        run.checkpoints.path.unlink(missing_ok=True)
        run.seconds = seconds
        run.step(course)
        assert run.checkpoints.path.exists() == written


@pytest.mark.parametrize("other", [{"data": "tuesday"}, {"seed": 2}, {"outputs": 2}])
def test_other_data_settings_or_shapes_start_anew_and_say_so(tmp_path, other):
    left_by_a_killed_run(tmp_path)
    with capture_logs() as lines:
        course = Run(tmp_path, **other).checkpoints.restore()
    assert course.step == 0
    assert [(line["event"], line["found"], line["removed"]) for line in lines] == [("it_starts_anew", 1, 0)]
    assert Run(tmp_path).checkpoints.restore().step == 3  # the other's is still there


def test_a_checkpoint_that_nobody_came_back_for_is_removed(tmp_path):
    path = left_by_a_killed_run(tmp_path).checkpoints.path
    long_ago = (NOW_MS - KEPT_DAYS * DAY_MS) / 1000 - 1
    os.utime(path, (long_ago, long_ago))
    Run(tmp_path, data="tuesday").checkpoints.restore()
    assert not path.exists()


def test_a_done_training_leaves_none(tmp_path):
    left_by_a_killed_run(tmp_path).checkpoints.remove()
    with capture_logs() as lines:
        assert Run(tmp_path).checkpoints.restore().step == 0
    assert lines == []


def test_the_same_training_started_twice_writes_whole_checkpoints(tmp_path, monkeypatch):
    """Each ended when the other put the file in its place that both were writing."""
    one, other = Run(tmp_path), Run(tmp_path)
    save = checkpoint.save_file

    def and_the_other_meanwhile(*given, **named):
        save(*given, **named)
        monkeypatch.setattr(checkpoint, "save_file", save)
        other.seconds = 120
        other.step(Course())

    monkeypatch.setattr(checkpoint, "save_file", and_the_other_meanwhile)
    one.seconds = 120
    one.step(Course())
    assert Run(tmp_path).checkpoints.restore().step == 1
    assert list((tmp_path / "checkpoints").iterdir()) == [one.checkpoints.path]


def test_a_torn_checkpoint_is_named(tmp_path):
    path = left_by_a_killed_run(tmp_path).checkpoints.path
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(DataError, match=rf"{path}.*remove it to start anew"):
        Run(tmp_path).checkpoints.restore()
