"""The guard before the ranker: deadline, breaker, and the fall back to retrieval order.

It turns the envelope into TorchServe's binary payload (`features.codec`; layout in `model_handlers`), waits no longer
than the request can afford, and checks that the answer is of the envelope's generation. Whatever goes wrong, the
answer is the retrieval order with `degraded: ["ranking"]`.
"""

import asyncio
import base64
import time
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final, Protocol

import numpy as np
import structlog
from numpy.typing import NDArray

from watchnext.clock import Clock
from watchnext.contracts.api import RecommendAnswer, RecommendedVideo
from watchnext.contracts.envelope import Envelope
from watchnext.contracts.names import MODEL_RANKER, Degraded, ranker_version, source_labels
from watchnext.errors import EnvelopeError, RankerError
from watchnext.features.codec import pack, unpack
from watchnext.ops import tracing
from watchnext.ops.metrics import FALLBACKS, RANKER_SECONDS
from watchnext.recommend.breaker import Breaker
from watchnext.recommend.explain import explanation_of, why_not_ranked
from watchnext.recommend.http_pool import HttpError, HttpPool
from watchnext.recommend.ladder import in_retrieval_order
from watchnext.settings import Serving

CONNECTIONS: Final = 64
WAY_BACK_MS: Final = 15  # left of the deadline for the answer's way through router and gateway

_log = structlog.get_logger(__name__)


class Predictor(Protocol):
    """Scores a packed request. TorchServe over HTTP in the servers; the handler itself in process in tests."""

    async def score(self, version: str, payload: bytes) -> bytes:
        """The packed scores.

        Raises:
            RankerError: the ranker is down or refuses.
        """
        ...


class TorchServe:
    """`POST /predictions/ranker/{generation}.{overlay}` with a binary body."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._pool = HttpPool(CONNECTIONS)

    async def score(self, version: str, payload: bytes) -> bytes:
        """The packed scores; the caller bounds the time.

        Raises:
            RankerError: TorchServe cannot be reached or refuses.
        """
        try:
            status, body = await self._pool.post(
                f"{self._url}/predictions/{MODEL_RANKER}/{version}",
                payload,
                {"content-type": "application/octet-stream"},
            )
        except HttpError as error:
            raise RankerError(f"TorchServe cannot be reached: {error}") from error
        if status != HTTPStatus.OK:
            raise RankerError(f"TorchServe answered {status} for {version}: {body.decode(errors='replace')[:300]}")
        return body

    async def close(self) -> None:
        """Close the connections."""
        await self._pool.close()


@dataclass(frozen=True, slots=True)
class Scores:
    """The ranker's answer for N candidates, the best `len(top)` of them with features."""

    expected_seconds: NDArray[Any]  # [N]
    long_view: NDArray[Any]  # [N]
    top: NDArray[Any]  # [K] indices of candidates, best first
    features: NDArray[Any]  # [K, F]
    contributions: NDArray[Any] | None  # [K, F], where asked to explain


class Guard:
    """Ranks envelopes, and answers with less where it cannot."""

    def __init__(self, predictor: Predictor, settings: Serving, *, clock: Clock) -> None:
        self._predictor = predictor
        self._budget_ms = settings.ranker_budget_ms
        self._breaker = Breaker("ranker", failures=settings.breaker_failures, seconds=settings.breaker_seconds)
        self._clock = clock

    async def answer(self, envelope: Envelope) -> RecommendAnswer:
        """The ranked list, or the retrieval order where the ranker is down, late, or of another generation.

        Raises:
            EnvelopeError: the envelope's columns or state cannot be read.
        """
        with tracing.span("ranking", envelope.traceparent, kind=tracing.ANSWER) as span:
            answer = await self._answer(envelope)
            span.set_attributes(
                tracing.described(answer.request_id, answer.generation, answer.overlay, answer.degraded)
            )
        return answer

    async def _answer(self, envelope: Envelope) -> RecommendAnswer:
        started = time.perf_counter()
        if not envelope.rankable or not envelope.candidates.video_ids:
            return in_retrieval_order(envelope)
        columns = envelope.candidates.columns()
        payload = _payload(envelope, columns)
        try:
            scores = read_scores(await self._ask(envelope, payload), envelope)
            items = _items(envelope, columns, scores)
        except RankerError as error:
            _log.warning(
                "ranker_failed",
                request_id=envelope.request_id,
                traceparent=envelope.traceparent,
                generation=envelope.generation,
                error=str(error),
            )
            FALLBACKS.labels(error.cause).inc()
            return in_retrieval_order(envelope, lost=[Degraded.RANKING])
        return RecommendAnswer(
            request_id=envelope.request_id,
            user_id=envelope.user_id,
            generation=envelope.generation,
            overlay=envelope.overlay,
            arm=envelope.arm,
            served_at=envelope.now_ms,
            degraded=envelope.degraded,
            items=items,
            why_not=why_not_ranked(envelope, scores.expected_seconds),
            stages_ms=envelope.stages_ms | {"ranking": round((time.perf_counter() - started) * 1000, 3)},
        )

    async def _ask(self, envelope: Envelope, payload: bytes) -> bytes:
        left_ms = envelope.deadline_ms - self._clock.now_ms() - WAY_BACK_MS
        budget_ms = min(self._budget_ms, left_ms)
        if budget_ms <= 0:
            raise RankerError("the deadline left no time to rank", cause="deadline")
        if not self._breaker.allows():
            raise RankerError("not asked: it failed a moment ago", cause="breaker")
        try:
            async with asyncio.timeout(budget_ms / 1000):
                with RANKER_SECONDS.time(), tracing.span("ranker.call", kind=tracing.CALL):
                    packed = await self._predictor.score(ranker_version(envelope.generation, envelope.overlay), payload)
        except TimeoutError as error:
            if budget_ms == self._budget_ms:  # a request that came late says nothing of the ranker
                self._breaker.failed()
            raise RankerError(f"no answer within {budget_ms} ms", cause="late") from error
        except RankerError:
            self._breaker.failed()
            raise
        self._breaker.succeeded()
        return packed


def _payload(envelope: Envelope, columns: dict[str, NDArray[Any]]) -> bytes:
    try:
        _, user = unpack(envelope.state_bytes())
    except ValueError as error:
        raise EnvelopeError(f"the envelope's user state cannot be read: {error}") from error
    meta = {
        "request_id": envelope.request_id,
        "generation": envelope.generation,
        "overlay": envelope.overlay,
        "now_ms": envelope.now_ms,
        "k": envelope.k,
        "explain": envelope.explain,
    }
    return pack(meta, {f"user.{name}": column for name, column in user.items()} | columns)


def read_scores(packed: bytes, envelope: Envelope) -> Scores:
    """The checked scores of an envelope's candidates.

    Raises:
        RankerError: not readable, of another generation, of other shapes, or not finite.
    """
    try:
        meta, columns = unpack(packed)
        generation, overlay = meta["generation"], meta["overlay"]
        scores = Scores(
            expected_seconds=columns["expected_seconds"],
            long_view=columns["long_view"],
            top=columns["top"],
            features=columns["features"],
            contributions=columns["contributions"] if envelope.explain else None,
        )
    except (ValueError, KeyError, TypeError) as error:
        raise RankerError(f"the ranker's answer cannot be read: {error}", cause="answer") from error
    if (generation, overlay) != (envelope.generation, envelope.overlay):
        raise RankerError(
            f"the ranker scored with generation {generation}.{overlay}; retrieval's is "
            f"{envelope.generation}.{envelope.overlay}",
            cause="generation",
        )
    candidates = len(envelope.candidates.video_ids)
    wanted = min(envelope.k, candidates)
    if scores.expected_seconds.shape != (candidates,) or scores.long_view.shape != (candidates,):
        raise RankerError(
            f"the ranker scored {scores.expected_seconds.shape} of {candidates} candidates", cause="answer"
        )
    top = scores.top
    if top.shape != (wanted,) or top.dtype.kind != "i" or len(np.unique(top)) != wanted:
        raise RankerError(
            f"the ranker's top is {top.dtype} of shape {top.shape}; wanted {wanted} candidates, each once",
            cause="answer",
        )
    if not ((top >= 0) & (top < candidates)).all():
        raise RankerError(f"the ranker's top names a candidate that is none of the {candidates}", cause="answer")
    for rows in (scores.features, scores.contributions):
        if rows is not None and (rows.ndim != 2 or len(rows) != wanted):
            raise RankerError(f"the ranker sent features of shape {rows.shape}; wanted {wanted} videos", cause="answer")
    told = [scores.expected_seconds]
    if scores.contributions is not None:  # JSON has no word for what is not finite, and the gateway reads none
        told += [scores.long_view, scores.features, scores.contributions]
    if not all(np.isfinite(numbers).all() for numbers in told):
        raise RankerError("the ranker's numbers are not finite", cause="answer")
    return scores


def _items(envelope: Envelope, columns: dict[str, NDArray[Any]], scores: Scores) -> list[RecommendedVideo]:
    items = []
    for position, index in enumerate(scores.top.tolist()):
        score = float(columns["score"][index])
        explanation = None
        if scores.contributions is not None:
            explanation = explanation_of(
                envelope,
                index=index,
                position=position,
                score=score,
                long_view=float(scores.long_view[index]),
                features=scores.features[position],
                contributions=scores.contributions[position],
            )
        items.append(
            RecommendedVideo(
                video_id=envelope.candidates.video_ids[index],
                position=position,
                sources=list(source_labels(int(columns["sources"][index]))),
                score=score,
                expected_seconds=float(scores.expected_seconds[index]),
                features=base64.b64encode(scores.features[position].astype("<f4").tobytes()).decode("ascii"),
                explanation=explanation,
            )
        )
    return items
