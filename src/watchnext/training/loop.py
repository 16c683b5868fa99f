"""The loop that fits both models: batches in, steps of the optimiser, a loss curve out.

With one seed, the same batches and one thread on a CPU, two runs end with the same weights, bit for bit: the batches
of an epoch depend on nothing but the seed and the epoch's number, and a step's dropout on nothing but seed and step.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, Self

import numpy as np
import torch
from torch import Tensor, nn

from watchnext.errors import DataError
from watchnext.features.batches import Batch
from watchnext.models.layers import as_tensors
from watchnext.settings import Settings
from watchnext.training.checkpoint import Checkpoints
from watchnext.training.device import device_of
from watchnext.training.distributed import ALONE, Share, check_same_step, mean_over_all, start_alike
from watchnext.training.optimiser import Optimiser
from watchnext.training.progress import Course, Progress

Loss = Callable[[dict[str, Tensor]], tuple[Tensor, int]]  # of a batch: mean over its examples, and their number


class Batches(Protocol):
    """Where batches come from; `loader.Streamed` reads them as the training goes."""

    @property
    def steps(self) -> int:
        """Batches of an epoch, the same in every process of a training."""
        ...

    def epoch(self, number: int, skip: int = 0) -> Iterator[Batch]:
        """The batches of epoch `number`, counted from 0, from batch `skip` on; the same whenever it is asked."""
        ...


@dataclass(frozen=True, kw_only=True)
class Plan:
    """How long a model is fitted, where, and under which name."""

    name: str  # of log events
    epochs: int
    seed: int
    device: torch.device
    folder: Path  # of the run
    half: bool = False  # layers compute in bfloat16; weights and losses stay float32
    share: Share = ALONE

    @classmethod
    def of(cls, settings: Settings, name: str, epochs: int, folder: Path, share: Share) -> Self:
        """As the settings say."""
        return cls(
            name=name,
            epochs=epochs,
            seed=settings.training.seed,
            device=device_of(settings),
            folder=folder,
            half=settings.training.precision == "bfloat16",
            share=share,
        )


def fit(
    plan: Plan, model: nn.Module, loss_of: Loss, batches: Batches, optimiser: Optimiser, checkpoints: Checkpoints
) -> Course:
    """Fit `model`, which is on the plan's device, from its checkpoint on if there is one.

    Raises:
        DataError: there are no batches, or the processes' checkpoints differ.
    """
    if not batches.steps:
        raise DataError(f"no examples came to train the {plan.name} on; wanted at least one: is the log long enough?")
    course = checkpoints.restore()
    check_same_step(course.step, plan.share, plan.device)
    start_alike(model, plan.share)
    first, skip = divmod(course.step, batches.steps)
    model.train()
    folder = plan.folder if plan.share.first else None
    with Progress(plan.name, steps=plan.epochs * batches.steps, folder=folder, at=course.step) as progress:
        for epoch in range(first, plan.epochs):
            course.epoch_loss = course.epoch_loss if skip else 0.0
            for batch in batches.epoch(epoch, skip):
                seed_torch(plan.seed, course.step, plan.share.rank)
                with torch.autocast(plan.device.type, torch.bfloat16, enabled=plan.half):
                    of_share, examples = loss_of(as_tensors(batch, plan.device))
                optimiser.zero_grad()
                of_share.backward()  # type: ignore[no-untyped-call]
                loss, examples = mean_over_all(model.parameters(), of_share, examples, plan.share)
                optimiser.step()
                progress.step(course, loss, examples)
                checkpoints.step(course)
            skip = 0
            progress.epoch(epoch + 1, plan.epochs, course.epoch_loss / batches.steps)
    return course


def seed_torch(*numbers: int) -> None:
    """Make what torch draws a function of these numbers."""
    torch.manual_seed(int(np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0]))
