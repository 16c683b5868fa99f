"""The loop that fits both models: batches in, steps of the optimiser, a loss curve out.

With one seed, the same batches and one thread on a CPU, two runs end with the same weights, bit for bit: the batches
of an epoch depend on nothing but the seed and the epoch's number, and a step's dropout on nothing but seed and step.
"""

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from watchnext.features.batches import Batch
from watchnext.models.layers import as_tensors
from watchnext.training.optimiser import Optimiser
from watchnext.training.progress import Progress

LOGGED_STEPS: Final = 20  # a point of the curve is the mean of so many

Loss = Callable[[dict[str, Tensor]], tuple[Tensor, int]]  # of a batch: mean over its examples, and their number


class Batches(Protocol):
    """Where batches come from: memory, or files that are read as the training goes."""

    @property
    def steps(self) -> int:
        """Batches of an epoch, the same in every process of a training."""
        ...

    def epoch(self, number: int, skip: int = 0) -> Iterator[Batch]:
        """The batches of epoch `number`, counted from 0, from batch `skip` on; the same whenever it is asked."""
        ...


@dataclass(frozen=True)
class Shuffled:
    """Examples that are in memory, in another order each epoch."""

    examples: int
    batch: int  # examples a step
    seed: int
    make: Callable[[NDArray[np.int64]], Batch]  # the batch of these examples

    @property
    def steps(self) -> int:
        """The last one holds what is left."""
        return -(-self.examples // self.batch)

    def epoch(self, number: int, skip: int = 0) -> Iterator[Batch]:
        """The batches of an epoch."""
        order = np.random.default_rng((self.seed, number)).permutation(self.examples)
        for start in range(skip * self.batch, self.examples, self.batch):
            yield self.make(order[start : start + self.batch])


@dataclass(frozen=True, kw_only=True)
class Plan:
    """How long a model is fitted, where, and under which name."""

    name: str  # of log events
    epochs: int
    seed: int
    device: torch.device
    folder: Path  # of the run


@dataclass
class Course:
    """How far a training has come, and the losses on the way."""

    step: int = 0  # steps done, over all epochs
    epoch_loss: float = 0.0  # sum of this epoch's
    recent: deque[float] = field(default_factory=lambda: deque(maxlen=LOGGED_STEPS))
    curve: list[tuple[int, float]] = field(default_factory=list)  # step, mean loss of the LOGGED_STEPS up to it

    @property
    def loss(self) -> float:
        """Mean of the last LOGGED_STEPS steps."""
        return float(np.mean(self.recent))


def fit(plan: Plan, model: nn.Module, loss_of: Loss, batches: Batches, optimiser: Optimiser) -> Course:
    """Fit `model`, which is on the plan's device."""
    course = Course()
    model.train()
    with Progress(plan.name, steps=plan.epochs * batches.steps, folder=plan.folder) as progress:
        for epoch in range(plan.epochs):
            course.epoch_loss = 0.0
            for batch in batches.epoch(epoch):
                seed_torch(plan.seed, course.step)
                loss, examples = loss_of(as_tensors(batch, plan.device))
                optimiser.zero_grad()
                loss.backward()  # type: ignore[no-untyped-call]
                optimiser.step()
                _record(course, loss.item(), examples, progress)
            progress.epoch(epoch + 1, plan.epochs, course.epoch_loss / batches.steps)
    return course


def seed_torch(*numbers: int) -> None:
    """Make what torch draws a function of these numbers."""
    torch.manual_seed(int(np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0]))


def _record(course: Course, loss: float, examples: int, progress: Progress) -> None:
    course.step += 1
    course.epoch_loss += loss
    course.recent.append(loss)
    progress.step(course.step, loss, examples)
    if course.step % LOGGED_STEPS == 0:
        course.curve.append((course.step, course.loss))
        progress.point(course.step, course.loss)
