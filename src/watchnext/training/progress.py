"""What a training tells while it runs: log lines with examples/s and ETA, and TensorBoard's event files.

<folder>/tensorboard/events.out.tfevents.*    loss, examples per second
"""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Final, Self

import structlog
from torch.utils.tensorboard import SummaryWriter

EVERY_S: Final = 10.0  # between two log lines

_log = structlog.get_logger(__name__)


class Progress:
    """Follows one training: `step` after each of its steps, `close` at its end."""

    def __init__(
        self,
        name: str,
        *,
        steps: int,
        folder: Path,
        at: int = 0,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """A training of `steps` steps that goes on after step `at`; `name` is that of its log events."""
        self._name = name
        self._steps = steps
        self._monotonic = monotonic
        self._started, self._first = monotonic(), at
        self._line_at, self._examples = self._started, 0  # of the last line; examples since
        self._writer = SummaryWriter(str(folder / "tensorboard"), purge_step=at or None)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._writer.close()

    def step(self, step: int, loss: float, examples: int) -> None:
        """Step `step`, counted from 1, is done: it had `examples` examples. Logs where the last line is old."""
        self._examples += examples
        now = self._monotonic()
        if now - self._line_at < EVERY_S:
            return
        rate = self._examples / (now - self._line_at)
        left_s = (self._steps - step) * (now - self._started) / (step - self._first)
        _log.info(
            f"{self._name}_progress",
            step=step,
            of=self._steps,
            loss=round(loss, 4),
            examples_per_second=round(rate),
            eta_s=round(left_s),
        )
        self._scalar("examples_per_second", rate, step)
        self._line_at, self._examples = now, 0

    def point(self, step: int, loss: float) -> None:
        """A point of the loss curve."""
        self._scalar("loss", loss, step)

    def epoch(self, number: int, of: int, loss: float) -> None:
        """Epoch `number`, counted from 1, is done with this mean loss."""
        _log.info(f"{self._name}_epoch", epoch=number, of=of, loss=round(loss, 4))

    def _scalar(self, tag: str, value: float, step: int) -> None:
        self._writer.add_scalar(tag, value, step)
