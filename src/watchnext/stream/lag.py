"""How far the group is behind: messages that are in the input topics and not yet in the features."""

import time
from collections.abc import Callable
from typing import Final

from kafka import KafkaConsumer, TopicPartition

from watchnext.contracts.names import Topic
from watchnext.errors import ServerError
from watchnext.settings import Settings
from watchnext.stream.client import connecting, reading
from watchnext.stream.topics import INPUT_TOPICS

_LOOK_EVERY_S: Final = 0.5

Lag = dict[Topic, dict[int, int]]


class LagMonitor:
    """A connection that is kept, for asking again and again. It never joins the group: it only reads its offsets."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        with connecting(settings):
            self._consumer = KafkaConsumer(
                **reading(settings), group_id=settings.kafka.group, client_id="watchnext-lag"
            )

    def read(self) -> Lag:
        """Remaining messages by topic and partition.

        Raises:
            ServerError: the broker does not answer.
        """
        kafka = self._settings.kafka
        wanted = [TopicPartition(topic.value, number) for topic in INPUT_TOPICS for number in range(kafka.partitions)]
        with connecting(self._settings):
            committed = {tp: self._consumer.committed(tp) for tp in wanted}  # before the ends: deltas come first
            begins = self._consumer.beginning_offsets(wanted)
            ends = self._consumer.end_offsets(wanted)
        lag: Lag = {topic: {} for topic in INPUT_TOPICS}
        for tp in wanted:
            lag[Topic(tp.topic)][tp.partition] = ends[tp] - max(committed[tp] or 0, begins[tp])
        return lag

    def close(self) -> None:
        """Disconnect."""
        self._consumer.close(autocommit=False)


def lag(settings: Settings) -> Lag:
    """Remaining messages of the group by topic and partition."""
    monitor = LagMonitor(settings)
    try:
        return monitor.read()
    finally:
        monitor.close()


def total(lag: Lag) -> int:
    """All remaining messages."""
    return sum(sum(partitions.values()) for partitions in lag.values())


def wait_until_caught_up(
    settings: Settings, timeout_s: float = 120.0, progress: Callable[[int], None] | None = None
) -> None:
    """Return when every input topic, `video-deltas` included, is folded up to its end; `progress` hears what remains.

    Raises:
        ServerError: messages remain and none was folded for `timeout_s`; the message says where.
    """
    monitor = LagMonitor(settings)
    try:
        least, deadline = None, time.monotonic() + timeout_s
        while True:
            behind = monitor.read()
            remaining = total(behind)
            if progress is not None:
                progress(remaining)
            if remaining == 0:
                return
            if least is None or remaining < least:
                least, deadline = remaining, time.monotonic() + timeout_s
            if time.monotonic() > deadline:
                where = {topic.value: rest for topic, parts in behind.items() if (rest := sum(parts.values()))}
                raise ServerError(
                    f"{remaining:,} messages remain and none was folded for {timeout_s:.0f} s ({where}); are "
                    "the workers up (`watchnext status`)? Their log says why"
                )
            time.sleep(_LOOK_EVERY_S)
    finally:
        monitor.close()
