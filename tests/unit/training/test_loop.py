from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from structlog.testing import capture_logs
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch import nn

from watchnext.errors import DataError
from watchnext.settings import Settings, Training
from watchnext.training import progress
from watchnext.training.checkpoint import Checkpoints
from watchnext.training.distributed import ALONE
from watchnext.training.loop import Plan, fit
from watchnext.training.optimiser import Optimiser
from watchnext.training.progress import EVERY_S, Course, Progress


def test_lines_tell_examples_a_second_and_the_time_left_but_not_each_step(tmp_path):
    now = [100.0]
    course = Course(step=1)
    with capture_logs() as lines, Progress("it", steps=11, folder=tmp_path, at=1, monotonic=lambda: now[0]) as teller:
        for _ in range(5):
            now[0] += EVERY_S / 4
            teller.step(course, loss=0.5, examples=30)
    wanted = {
        "event": "it_progress",
        "log_level": "info",
        "step": 5,
        "of": 11,
        "loss": 0.5,
        "examples_per_second": 12,  # 4 steps of 30 in 10 s
        "eta_s": 15,  # 6 steps of 2.5 s
    }
    assert lines == [wanted]


@dataclass(frozen=True)
class Numbers:
    """The numbers below `examples`, four a step, mixed anew each epoch."""

    examples: int
    seed: int

    @property
    def steps(self) -> int:
        return -(-self.examples // 4)

    def epoch(self, number: int, skip: int = 0) -> Iterator[dict[str, np.ndarray]]:
        order = np.random.default_rng((self.seed, number)).permutation(self.examples)
        for step in range(skip, self.steps):
            yield {"at": order[4 * step : 4 * step + 4]}


class Noisy(nn.Module):
    """Learns one number, with dropout."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))

    def forward(self, batch: dict[str, torch.Tensor]) -> tuple[torch.Tensor, int]:
        kept = torch.rand(len(batch["at"])) < 0.5
        return (kept * (batch["at"] - self.weight).square()).mean(), len(kept)


def fitted(folder, seed: int, examples: int = 10) -> tuple[float, list[tuple[int, float]]]:
    model = Noisy()
    optimiser = Optimiser(model, 0.1)
    plan = Plan(name="noisy", epochs=4, seed=seed, device=torch.device("cpu"), folder=folder)
    checkpoints = Checkpoints(Settings(home=folder), "noisy", model, optimiser, [])
    course = fit(plan, model, model, Numbers(examples, seed), optimiser, checkpoints)
    return model.weight.item(), course.curve


def test_a_seed_gives_the_same_weights_whatever_was_drawn_before(tmp_path):
    first = fitted(tmp_path / "a", seed=1)[0]
    torch.rand(5)
    assert fitted(tmp_path / "b", seed=1)[0] == first
    assert fitted(tmp_path / "c", seed=2)[0] != first


def test_the_curve_is_in_the_files_of_tensorboard(monkeypatch, tmp_path):
    monkeypatch.setattr(progress, "LOGGED_STEPS", 6)
    _, curve = fitted(tmp_path, seed=1)
    events = EventAccumulator(str(tmp_path / "tensorboard"))
    events.Reload()
    assert [step for step, _ in curve] == [6, 12]
    assert [(event.step, event.value) for event in events.Scalars("loss")] == [
        (step, pytest.approx(loss)) for step, loss in curve
    ]
    assert np.isfinite([loss for _, loss in curve]).all()


def test_no_examples_are_no_training(tmp_path):
    with pytest.raises(DataError, match="no examples came to train the noisy on"):
        fitted(tmp_path, seed=1, examples=0)


class Dot(nn.Module):
    """One product of matrices; remembers its type."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(1, 1)
        self.seen: set[torch.dtype] = set()

    def forward(self, batch: dict[str, torch.Tensor]) -> tuple[torch.Tensor, int]:
        out = self.layer(batch["at"][:, None].float())
        self.seen.add(out.dtype)
        return out.float().square().mean(), len(out)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_layers_compute_in_the_precision_of_the_settings_and_weights_stay_whole(tmp_path, precision):
    model = Dot()
    settings = Settings(home=tmp_path, training=Training(precision=precision))
    plan, optimiser = Plan.of(settings, "dot", 1, tmp_path, ALONE), Optimiser(model, 0.1)
    fit(plan, model, model, Numbers(10, seed=3), optimiser, Checkpoints(settings, "dot", model, optimiser, []))
    assert model.seen == {getattr(torch, precision)}
    assert model.layer.weight.dtype == torch.float32
