"""How far a training is, and what it tells of it: log lines with examples/s and ETA, and TensorBoard's event files.

<folder>/tensorboard/events.out.tfevents.*    loss, examples per second
"""

import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

import numpy as np
import structlog

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

LOGGED_STEPS: Final = 20  # a point of the curve is the mean of so many
EVERY_S: Final = 10.0  # between two log lines

_log = structlog.get_logger(__name__)


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

    def record(self, loss: float) -> bool:
        """One step more; whether it made a point of the curve."""
        self.step += 1
        self.epoch_loss += loss
        self.recent.append(loss)
        if self.step % LOGGED_STEPS:
            return False
        self.curve.append((self.step, self.loss))
        return True

    def to_json(self) -> dict[str, Any]:
        """JSON values."""
        return {**asdict(self), "recent": list(self.recent)}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """What `to_json` gave."""
        curve = [(step, loss) for step, loss in value["curve"]]
        return cls(**{**value, "recent": deque(value["recent"], maxlen=LOGGED_STEPS), "curve": curve})


class Progress:
    """Follows one training, as a context: `step` after each of its steps, `epoch` after each epoch."""

    def __init__(
        self,
        name: str,
        *,
        steps: int,
        folder: Path | None,
        at: int = 0,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """A training of `steps` steps that goes on after step `at`; `name` is that of its log events.

        Without a folder it tells nothing: another process of the training does.
        """
        self._name = name
        self._steps = steps
        self._monotonic = monotonic
        self._started, self._first = monotonic(), at
        self._line_at, self._examples = self._started, 0  # of the last line; examples since
        self._writer = _event_files(folder / "tensorboard", after=at) if folder else None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        if self._writer:
            self._writer.close()

    def step(self, course: Course, loss: float, examples: int) -> None:
        """A step of this loss and so many examples is done. Logs where the last line is old."""
        point = course.record(loss)
        if not self._writer:
            return
        if point:
            self._writer.add_scalar("loss", course.loss, course.step)
        self._examples += examples
        now = self._monotonic()
        if now - self._line_at < EVERY_S:
            return
        rate = self._examples / (now - self._line_at)
        left_s = (self._steps - course.step) * (now - self._started) / (course.step - self._first)
        _log.info(
            f"{self._name}_progress",
            step=course.step,
            of=self._steps,
            loss=round(loss, 4),
            examples_per_second=round(rate),
            eta_s=round(left_s),
        )
        self._writer.add_scalar("examples_per_second", rate, course.step)
        self._line_at, self._examples = now, 0

    def epoch(self, number: int, of: int, loss: float) -> None:
        """Epoch `number`, counted from 1, is done with this mean loss."""
        if self._writer:
            _log.info(f"{self._name}_epoch", epoch=number, of=of, loss=round(loss, 4))


def _event_files(folder: Path, *, after: int) -> "SummaryWriter":
    """A writer that goes on after step `after`; what an earlier run wrote of later steps does not count."""
    from torch.utils.tensorboard import SummaryWriter  # a second, which who loads a trained model does without

    return SummaryWriter(str(folder), purge_step=after or None)
