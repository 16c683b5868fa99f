"""The catalogue in memory: channel and topics of every video, followed from the beginning of `video-catalog`.

A watch is folded with what is known of its video at that moment, so a worker first reads up to where the topic ended
when it started. What is published later is seen within a batch or so: a watch that races its video's first catalogue
message may be folded without channel and topics. Publish a video before it is shown.
"""

import threading
import time
from collections.abc import Callable
from typing import Any, Final

import structlog
from kafka import KafkaConsumer, TopicPartition
from kafka.errors import KafkaError

from watchnext.clock import Clock
from watchnext.contracts.events import CatalogEvent
from watchnext.contracts.names import Topic
from watchnext.errors import EventError, ServerError
from watchnext.settings import Settings
from watchnext.stream.client import connecting, reading
from watchnext.stream.folds import VideoFacts
from watchnext.stream.messages import read_message

_STALL_S: Final = 60.0
_WAIT_MS: Final = 200
_BACK_OFF_S: Final = 1.0

_log = structlog.get_logger(__name__)


class CatalogueFollower:
    """Reads `video-catalog` outside of any group; `videos` is the mapping that the folds look into.

    Raises:
        ServerError: the broker does not answer.
    """

    def __init__(self, settings: Settings, clock: Clock) -> None:
        self.videos: dict[str, VideoFacts] = {}
        self._clock = clock
        self._future_minutes = settings.features.future_minutes
        with connecting(settings):
            self._consumer = KafkaConsumer(
                **reading(settings), group_id=None, client_id="watchnext-catalogue", max_poll_records=5_000
            )
        partitions = range(settings.kafka.partitions)
        self._consumer.assign([TopicPartition(Topic.CATALOG.value, number) for number in partitions])

    def catch_up(self, stop: threading.Event, turn: Callable[[], None]) -> None:
        """Read up to where the topic ends now, or until `stop` is set; what the broker refuses is tried again.

        Args:
            stop: ends the wait.
            turn: called at every poll, which a long catalogue has many of.

        Raises:
            ServerError: no progress for a minute.
        """
        assigned = sorted(self._consumer.assignment())
        ends: dict[TopicPartition, int] = {}
        deadline = time.monotonic() + _STALL_S
        while not stop.is_set():
            turn()
            try:
                ends = ends or self._consumer.end_offsets(assigned)
                if all(self._is_at(tp, ends[tp]) for tp in assigned):
                    _log.info("catalogue_ready", videos=len(self.videos))
                    return
                if self.poll(timeout_ms=_WAIT_MS):
                    deadline = time.monotonic() + _STALL_S
            except KafkaError as error:
                _log.warning("catalogue_waits", error=str(error), kind=type(error).__name__)
                stop.wait(_BACK_OFF_S)
            if time.monotonic() > deadline:
                raise ServerError(
                    f"{Topic.CATALOG.value} gave nothing for {_STALL_S:.0f} s before its end {ends}; is the broker up?"
                )

    def poll(self, timeout_ms: int = 0) -> int:
        """Take in what has arrived; the number of messages."""
        count = 0
        for records in self._consumer.poll(timeout_ms=timeout_ms).values():
            count += len(records)
            for record in records:
                self._take(record)
        return count

    def close(self) -> None:
        """Disconnect."""
        self._consumer.close()

    def _is_at(self, tp: TopicPartition, end: int) -> bool:
        position = self._consumer.position(tp, timeout_ms=_WAIT_MS)  # none as long as the broker has not told
        return position is not None and position >= end

    def _take(self, record: Any) -> None:
        try:
            event = read_message(
                Topic.CATALOG,
                record.key,
                record.value,
                now_ms=self._clock.now_ms(),
                future_minutes=self._future_minutes,
            )
        except EventError:
            return  # the group's worker makes the dead letter
        if isinstance(event, CatalogEvent):  # else a tombstone: watches of a withdrawn video still have its channel
            self.videos[event.video_id] = VideoFacts(event.channel_id, tuple(event.topics))
