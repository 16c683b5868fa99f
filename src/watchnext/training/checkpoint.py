"""Checkpoints: a training that was killed goes on from its last one, when the same command comes again.

    <home>/checkpoints/<name>-<identity>.safetensors    weights and optimiser; the course as JSON in its header

The identity is that of all that the weights depend on: data, feature spec, shapes, seed. Another snapshot, another
setting or a release of other features finds nothing and starts anew. Nothing is unpickled.
"""

import hashlib
import json
import os
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import structlog
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from watchnext.clock import DAY_MS, Clock, SystemClock
from watchnext.errors import DataError
from watchnext.features.spec import spec_hash
from watchnext.settings import Settings
from watchnext.training.distributed import ALONE, Share
from watchnext.training.optimiser import Optimiser
from watchnext.training.progress import Course

KEPT_DAYS: Final = 7  # a checkpoint that nobody came back for
_MODEL, _OPTIMISER, _COURSE = "model.", "optimiser.", "course"

_log = structlog.get_logger(__name__)


class Checkpoints:
    """The checkpoint of one training: written every `training.checkpoint_minutes`, removed when all is done."""

    def __init__(
        self,
        settings: Settings,
        name: str,
        model: nn.Module,
        optimiser: Optimiser,
        depends_on: Sequence[Any],
        *,
        share: Share = ALONE,
        clock: Clock | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """`depends_on` are JSON values: what changes the weights that come out, beside seed, precision and shapes.

        The first process of a training writes for all.
        """
        training = settings.training
        shapes = {key: list(value.shape) for key, value in model.state_dict().items()}
        own = [spec_hash(), training.seed, training.precision, share.world, shapes]
        identity = json.dumps([*own, *depends_on], sort_keys=True)
        self._name = name
        self._model, self._optimiser = model, optimiser
        self._first = share.first
        self._folder = settings.home / "checkpoints"
        self.path = self._folder / f"{name}-{hashlib.sha256(identity.encode()).hexdigest()[:16]}.safetensors"
        self._unfinished = self.path.with_suffix(f".{uuid.uuid4().hex}.part")  # the same training may run twice
        self._every_s = training.checkpoint_minutes * 60
        self._clock = clock or SystemClock()
        self._monotonic = monotonic
        self._last_s = monotonic()

    def restore(self) -> Course:
        """Load the checkpoint into model and optimiser, if there is one; the course from which to go on.

        Raises:
            DataError: it cannot be read.
        """
        if not self.path.exists():
            if self._first:
                self._tell_of_others()
            return Course()
        try:
            with safe_open(self.path, framework="pt") as file:
                course = Course.from_json(json.loads(file.metadata()[_COURSE]))
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        except SafetensorError as error:
            raise DataError(f"checkpoint {self.path} cannot be read ({error}): remove it to start anew") from error
        self._model.load_state_dict(_under(_MODEL, tensors))
        self._optimiser.load(_under(_OPTIMISER, tensors))
        _log.info(f"{self._name}_resumed", step=course.step, checkpoint=str(self.path))
        return course

    def step(self, course: Course) -> None:
        """Write a checkpoint where the last one is old."""
        if self._first and self._every_s and self._monotonic() - self._last_s >= self._every_s:
            self._write(course)
            self._last_s = self._monotonic()

    def remove(self) -> None:
        """The training is done, and its result is written."""
        if self._first:
            self.path.unlink(missing_ok=True)

    def _write(self, course: Course) -> None:
        """Whole or not at all, whenever the process is killed."""
        self._folder.mkdir(parents=True, exist_ok=True)
        tensors = {_MODEL + name: value for name, value in self._model.state_dict().items()}
        tensors |= {_OPTIMISER + name: value for name, value in self._optimiser.tensors().items()}
        save_file(tensors, self._unfinished, metadata={_COURSE: json.dumps(course.to_json())})
        with self._unfinished.open("rb") as file:
            os.fsync(file.fileno())
        self._unfinished.replace(self.path)

    def _tell_of_others(self) -> None:
        """Log that other trainings' checkpoints are of no use here; remove those that nobody came back for."""
        others = sorted(self._folder.glob(f"{self._name}-*"))
        oldest = (self._clock.now_ms() - KEPT_DAYS * DAY_MS) / 1000
        left = [path for path in others if path.stat().st_mtime < oldest]
        for path in left:
            path.unlink(missing_ok=True)
        if others:
            reason = "its checkpoints are of other data or settings"
            _log.info(f"{self._name}_starts_anew", reason=reason, found=len(others), removed=len(left))


def _under(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
