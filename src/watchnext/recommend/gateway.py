"""What the gateway does between an application and the graph, whatever the protocol.

API key, load shedding, deadline, A/B arm, the graph, the static list where the graph is down or late, and the served
list on its way to Kafka. `serving.gateway_rest` and `serving.gateway_grpc` translate; they decide nothing.
"""

import asyncio
import hmac
import re
import uuid
from collections.abc import Callable, Sequence
from typing import Final, Protocol

import msgspec
import structlog

from watchnext.clock import Clock
from watchnext.contracts.api import RecommendAnswer, RecommendRequest
from watchnext.contracts.names import Degraded
from watchnext.errors import AuthenticationError, GraphError, OverloadError, RequestError
from watchnext.ops import tracing
from watchnext.ops.metrics import DEGRADED, IN_FLIGHT, SHED
from watchnext.recommend.arms import arm_of
from watchnext.recommend.breaker import Breaker
from watchnext.recommend.graph import Graph
from watchnext.recommend.ladder import static_answer
from watchnext.settings import Settings

OWN_MS: Final = 25  # of the deadline, kept for the gateway's own work and the way back
INTERNAL: Final = "the gateway failed: a fault of ours, which its log tells"

_TRACEPARENT: Final = re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")  # W3C Trace Context, version 00

_log = structlog.get_logger(__name__)


class Served(Protocol):
    """Takes served lists (`served.ServedLog`)."""

    def offer(self, request: RecommendRequest, answer: RecommendAnswer) -> None:
        """Queue a list; never blocks."""
        ...


class Gateway:
    """Answers requests, at most `gateway.max_concurrent` at a time."""

    def __init__(
        self,
        settings: Settings,
        graph: Graph,
        served: Served | None,
        *,
        popular: Callable[[], Sequence[str]],
        clock: Clock,
    ) -> None:
        """Popular videos (`StaticList.ids`) stand in where `gateway.static_list` is empty."""
        self._settings = settings.gateway
        self._deadline_ms = settings.serving.deadline_ms
        self._keys = [key.get_secret_value().encode() for key in settings.gateway.api_keys]
        self._graph = graph
        self._served = served
        self._popular = popular
        self._clock = clock
        self._breaker = Breaker(
            "graph", failures=settings.serving.breaker_failures, seconds=settings.serving.breaker_seconds
        )
        self._in_flight = 0

    def authenticate(self, key: str) -> None:
        """Let a caller pass.

        Raises:
            AuthenticationError: keys are configured and `key` is none of them.
        """
        if not self._keys:
            return
        matches = [hmac.compare_digest(known, key.encode()) for known in self._keys]  # each one: constant time
        if not any(matches):
            came = "an unknown API key" if key else "no API key"
            raise AuthenticationError(f"{came} came; send one of gateway.api_keys as x-api-key or as a bearer token")

    async def recommend(
        self, request: RecommendRequest, *, budget_ms: float | None = None, traceparent: str = ""
    ) -> RecommendAnswer:
        """The answer within the request's deadline, `budget_ms` or `serving.deadline_ms`, whichever ends first.

        Args:
            request: Checked.
            budget_ms: The protocol's own time limit.
            traceparent: The protocol's own header; one in the request goes before it, another format is ignored.

        Raises:
            RequestError: the graph refuses the request.
            OverloadError: too many requests are in flight.
        """
        if self._in_flight >= self._settings.max_concurrent:
            SHED.inc()
            raise OverloadError(f"{self._in_flight} requests are in flight, the most that are taken; try again later")
        self._in_flight += 1
        IN_FLIGHT.set(self._in_flight)
        came = request.traceparent or (traceparent if _TRACEPARENT.fullmatch(traceparent) else "")
        try:
            with tracing.span("gateway.recommend", came, kind=tracing.ANSWER) as span:
                request = self._complete(request, budget_ms, tracing.traceparent() or came)
                answer = await self._ask(request)
                span.set_attributes(
                    tracing.described(answer.request_id, answer.generation, answer.overlay, answer.degraded)
                )
        finally:
            self._in_flight -= 1
            IN_FLIGHT.set(self._in_flight)
        for part in answer.degraded:
            DEGRADED.labels(part).inc()
        if self._served is not None:
            self._served.offer(request, answer)
        return answer

    def _complete(self, request: RecommendRequest, budget_ms: float | None, traceparent: str) -> RecommendRequest:
        now = self._clock.now_ms()
        ends = [now + self._deadline_ms]
        if request.deadline_ms:
            ends.append(request.deadline_ms)
        if budget_ms is not None:
            ends.append(now + int(budget_ms))
        return msgspec.structs.replace(
            request,
            request_id=request.request_id or uuid.uuid4().hex,
            traceparent=traceparent,
            arm=arm_of(request.user_id, experiment=self._settings.experiment, arms=self._settings.arms),
            deadline_ms=min(ends) - OWN_MS,
        )

    async def _ask(self, request: RecommendRequest) -> RecommendAnswer:
        try:
            answer = await self._ask_graph(request)
        except GraphError as error:
            _log.warning(
                "graph_failed", request_id=request.request_id, traceparent=request.traceparent, error=str(error)
            )
            return self._static(request, [Degraded.GRAPH])
        if not answer.items and Degraded.GENERATION in answer.degraded:
            return self._static(request, answer.degraded)
        return answer

    async def _ask_graph(self, request: RecommendRequest) -> RecommendAnswer:
        left_ms = request.deadline_ms - self._clock.now_ms()
        if left_ms <= 0:
            raise GraphError("the deadline left no time to ask")
        if not self._breaker.allows():
            raise GraphError("not asked: it failed a moment ago")
        try:
            with tracing.span("graph.call", kind=tracing.CALL):
                asked = msgspec.structs.replace(request, traceparent=tracing.traceparent() or request.traceparent)
                async with asyncio.timeout(left_ms / 1000):
                    answer = await self._graph.ask(asked)
        except TimeoutError as error:
            if left_ms >= self._deadline_ms / 2:  # a caller's own tiny deadline says nothing of the graph
                self._breaker.failed()
            raise GraphError(f"no answer within {left_ms} ms") from error
        except GraphError:
            self._breaker.failed()
            raise
        except RequestError:  # a graph that refuses is up
            self._breaker.succeeded()
            raise
        self._breaker.succeeded()
        return answer

    def _static(self, request: RecommendRequest, lost: list[str] | list[Degraded]) -> RecommendAnswer:
        names = [str(part) for part in lost]
        ids = self._settings.static_list or self._popular()
        return static_answer(request, ids, lost=names, now_ms=self._clock.now_ms())


def public(answer: RecommendAnswer) -> RecommendAnswer:
    """The answer as applications see it: the ranker's feature vectors go to Kafka only."""
    items = [msgspec.structs.replace(item, features="") for item in answer.items]
    return msgspec.structs.replace(answer, items=items)
