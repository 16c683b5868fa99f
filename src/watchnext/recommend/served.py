"""Served lists on their way to Kafka, without an answer ever waiting for them.

A bounded queue and one thread. While Kafka is down, lists wait; what does not fit or is not acknowledged in time is
dropped: each list is counted in `watchnext_served_dropped_total`, told in the log now and then, and never an error of
the request.
"""

import contextlib
import queue
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Final, Protocol

import structlog

from watchnext.contracts.api import RecommendAnswer, RecommendRequest
from watchnext.contracts.events import Event, ImpressionEvent, ServedEvent, ServedItem
from watchnext.contracts.names import Source, Topic
from watchnext.ops.metrics import IMPRESSIONS_DROPPED, SERVED_DROPPED, SERVED_WRITTEN

CAPACITY: Final = 2_000  # answers that wait while Kafka is away
RETRY_SECONDS: Final = 1.0
LOG_SECONDS: Final = 10.0

_log = structlog.get_logger(__name__)


class Producer(Protocol):
    """What is needed of `stream.EventProducer`."""

    def send(self, topic: Topic, event: Event, *, delivered: Callable[[Exception | None], None]) -> object:
        """Queue an event for its topic; `delivered` hears None once it is acknowledged, else the error."""
        ...

    def close(self) -> None:
        """Send what is queued."""
        ...


def served_event(request: RecommendRequest, answer: RecommendAnswer) -> ServedEvent:
    """The whole list as it goes into `served-events`. Time is the request's: features are as of it."""
    return ServedEvent(
        user_id=answer.user_id,
        request_id=answer.request_id,
        served_at=answer.served_at,
        surface=request.surface,
        device=request.device,
        country=request.country,
        generation=answer.generation,
        overlay=answer.overlay,
        arm=answer.arm,
        degraded=answer.degraded,
        items=[
            ServedItem(
                video_id=item.video_id,
                position=item.position,
                sources=item.sources,
                scores=[] if item.sources == [Source.STATIC.label] else [item.score],
                expected_seconds=item.expected_seconds,
                features=item.features,
            )
            for item in answer.items
        ],
        seed_video_id=request.seed_video_id or None,
    )


def impressions(served: ServedEvent) -> Iterator[ImpressionEvent]:
    """What a client would write if it showed the whole list at once."""
    for item in served.items:
        yield ImpressionEvent(
            user_id=served.user_id,
            event_id=f"{served.request_id}:{item.position}",
            request_id=served.request_id,
            video_id=item.video_id,
            position=item.position,
            shown_at=served.served_at,
            surface=served.surface,
        )


class ServedLog:
    """Writes served lists behind the answers' back."""

    def __init__(self, open_producer: Callable[[], Producer], *, write_impressions: bool) -> None:
        self._open_producer = open_producer
        self._write_impressions = write_impressions
        self._queue: queue.Queue[ServedEvent | None] = queue.Queue(CAPACITY)
        self._open = 0  # lists whose fate is not known yet
        self._counting = threading.Lock()
        self._closing = threading.Event()
        self._logged_at = 0.0
        self._thread = threading.Thread(target=self._run, name="served-log", daemon=True)
        self._thread.start()

    def offer(self, request: RecommendRequest, answer: RecommendAnswer) -> None:
        """Queue an answer's list; never blocks, never raises."""
        self._opened(1)
        try:
            self._queue.put_nowait(served_event(request, answer))
        except queue.Full:
            self._dropped(Topic.SERVED, "the queue is full")

    def close(self, timeout_s: float = 5) -> None:
        """Write what is queued, for at most `timeout_s` and as long again; what Kafka has not taken then is told."""
        self._closing.set()
        with contextlib.suppress(queue.Full):
            self._queue.put(None, timeout=timeout_s)
            self._thread.join(timeout_s)
        if self._open:
            _log.error("served_events_lost", lists=self._open)

    def _run(self) -> None:
        producer: Producer | None = None
        while (event := self._queue.get()) is not None:
            unsent = self._messages(event)
            try:
                producer = producer or self._reach_kafka()
                while unsent:
                    topic, message = unsent[0]
                    producer.send(topic, message, delivered=partial(self._delivered, topic))
                    del unsent[0]
            except Exception as error:  # Kafka's state is no business of an answer: counted, logged, tried again
                for topic, _ in unsent:
                    self._delivered(topic, error)
                self._closing.wait(RETRY_SECONDS)
        if producer is not None:
            producer.close()

    def _reach_kafka(self) -> Producer:
        """A producer, once there is a broker; raises what the last try raised where the log closes before."""
        while True:
            try:
                return self._open_producer()
            except Exception as error:
                if self._closing.wait(RETRY_SECONDS):
                    raise
                self._complain("served_events_wait", error)

    def _opened(self, lists: int) -> None:
        with self._counting:
            self._open += lists

    def _messages(self, event: ServedEvent) -> list[tuple[Topic, Event]]:
        stand_ins = impressions(event) if self._write_impressions else ()
        return [(Topic.SERVED, event), *((Topic.IMPRESSION, impression) for impression in stand_ins)]

    def _delivered(self, topic: Topic, error: Exception | None) -> None:
        if error is not None:
            self._dropped(topic, f"{type(error).__name__}: {error}")
        elif topic is Topic.SERVED:
            SERVED_WRITTEN.inc()
            self._opened(-1)

    def _dropped(self, topic: Topic, reason: str) -> None:
        (SERVED_DROPPED if topic is Topic.SERVED else IMPRESSIONS_DROPPED).inc()
        if topic is Topic.SERVED:
            self._opened(-1)
        self._complain("served_event_dropped", reason, topic=topic.value)

    def _complain(self, event: str, reason: object, **facts: str) -> None:
        """Log it, once a period."""
        now = time.monotonic()
        if now - self._logged_at > LOG_SECONDS:
            self._logged_at = now
            _log.error(event, reason=str(reason), **facts)
