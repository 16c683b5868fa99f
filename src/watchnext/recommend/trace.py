"""What happens on retrieval's way to an envelope: stages with their times, and what had to be done without.

Each is told where it is asked for: in the envelope, on `/metrics`, in the request's trace, and, if something failed, in
the log.
"""

import time
from dataclasses import dataclass, field

import structlog

from watchnext.contracts.api import RecommendRequest
from watchnext.contracts.names import Degraded, Source
from watchnext.ops import tracing
from watchnext.ops.metrics import LOST, STAGE_SECONDS

_log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Trace:
    """What happened on the way: rungs taken and milliseconds a stage."""

    request: RecommendRequest
    traceparent: str  # of the caller's span; where it sent none, of ours, so that ranking falls under the same trace
    degraded: list[str] = field(default_factory=list)
    stages_ms: dict[str, float] = field(default_factory=dict)
    _last: float = field(default_factory=time.perf_counter)

    def stage(self, name: str, began: float | None = None) -> None:
        """The time since the last stage was `name`'s, which had begun before, beside others, if it tells when."""
        now = time.perf_counter()
        self.stages_ms[name] = round((now - self._last) * 1000, 3)
        STAGE_SECONDS.labels(name).observe(now - self._last)
        tracing.lap(name, now - (self._last if began is None else began))
        self._last = now

    def without(self, part: Degraded) -> None:
        """A part is out of this answer."""
        self.degraded.append(part.value)
        LOST.labels(part.value).inc()

    def lost(self, part: Degraded, error: Exception) -> None:
        """A part that should have answered is out of this answer."""
        self.without(part)
        self._warn("part_lost", error, part=part.value)

    def source_lost(self, source: Source, error: Exception) -> None:
        """A source beside the tower gave nothing, which costs no rung: the others fill the list."""
        LOST.labels(source.label).inc()
        self._warn("source_lost", error, source=source.label)

    def _warn(self, event: str, error: Exception, **fields: str) -> None:
        _log.warning(
            event,
            request_id=self.request.request_id,
            traceparent=self.traceparent,
            error=str(error),
            **fields,
        )
