"""The catalogue in memory: channel and topics of every video, followed from the beginning of `video-catalog`.

A watch is folded with what is known of its video at that moment, so a worker first reads up to where the topic ended
when it started. What is published later is seen within a batch or so: a watch that races its video's first catalogue
message may be folded without channel and topics. Publish a video before it is shown.
"""

import time
from typing import Any, Final

import structlog
from kafka import KafkaConsumer, TopicPartition

from watchnext.contracts.events import CatalogEvent, decode
from watchnext.contracts.names import Topic
from watchnext.errors import EventError, ServerError
from watchnext.settings import Settings
from watchnext.stream.client import reading
from watchnext.stream.folds import VideoFacts

_STALL_S: Final = 60.0

_log = structlog.get_logger(__name__)


class CatalogueFollower:
    """Reads `video-catalog` outside of any group; `videos` is the mapping that the folds look into."""

    def __init__(self, settings: Settings) -> None:
        self.videos: dict[str, VideoFacts] = {}
        self._consumer = KafkaConsumer(
            **reading(settings), group_id=None, client_id="watchnext-catalogue", max_poll_records=5_000
        )
        partitions = range(settings.kafka.partitions)
        self._consumer.assign([TopicPartition(Topic.CATALOG.value, number) for number in partitions])

    def catch_up(self) -> None:
        """Read up to where the topic ends now.

        Raises:
            ServerError: no progress for a minute.
        """
        assigned = sorted(self._consumer.assignment())
        ends = self._consumer.end_offsets(assigned)
        deadline = time.monotonic() + _STALL_S
        while any(self._consumer.position(tp) < ends[tp] for tp in assigned):
            if self.poll(timeout_ms=200):
                deadline = time.monotonic() + _STALL_S
            elif time.monotonic() > deadline:
                raise ServerError(
                    f"{Topic.CATALOG.value} gave nothing for {_STALL_S:.0f} s before its end {ends}; is the broker up?"
                )
        _log.info("catalogue_ready", videos=len(self.videos))

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

    def _take(self, record: Any) -> None:
        if not record.value:
            return  # a tombstone: watches of a withdrawn video still have its channel
        try:
            event = decode(Topic.CATALOG, record.value)
        except EventError:
            return  # the group's worker makes the dead letter
        if isinstance(event, CatalogEvent) and record.key == event.key.encode():
            self.videos[event.video_id] = VideoFacts(event.channel_id, tuple(event.topics))
