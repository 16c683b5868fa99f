"""How far the group is behind: messages that are in the input topics and not yet in the features."""

import time
from collections.abc import Callable, Iterable
from typing import Final

from kafka import KafkaConsumer, TopicPartition

from watchnext.contracts.names import Topic
from watchnext.errors import ServerError
from watchnext.settings import Settings
from watchnext.stream.client import connecting, reading
from watchnext.stream.topics import INPUT_TOPICS

_LOOK_EVERY_S: Final = 0.5

Lag = dict[Topic, dict[int, int]]
Offsets = dict[TopicPartition, int]


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
        folded = self.folded()  # before the ends: deltas come first
        return _remaining(folded, self.ends())

    def folded(self) -> Offsets:
        """The offsets below which every message is folded, or was deleted before it could be.

        Raises:
            ServerError: the broker does not answer.
        """
        wanted = self._partitions(INPUT_TOPICS)
        with connecting(self._settings):
            begins = self._consumer.beginning_offsets(wanted)
            return {tp: max(self._consumer.committed(tp) or 0, begins[tp]) for tp in wanted}

    def ends(self, topics: Iterable[Topic] = INPUT_TOPICS) -> Offsets:
        """The offsets of the next messages to come.

        Raises:
            ServerError: the broker does not answer.
        """
        with connecting(self._settings):
            return dict(self._consumer.end_offsets(self._partitions(topics)))

    def close(self) -> None:
        """Disconnect."""
        self._consumer.close(autocommit=False)

    def _partitions(self, topics: Iterable[Topic]) -> list[TopicPartition]:
        return [
            TopicPartition(topic.value, number) for topic in topics for number in range(self._settings.kafka.partitions)
        ]


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
    """Return when all events that are there now are folded, and the deltas that come of them.

    What arrives meanwhile is not waited for: on a live broker there is always something more. `progress` hears how many
    of these messages remain.

    Raises:
        ServerError: messages remain and none was folded for `timeout_s`; the message says where.
    """
    monitor = LagMonitor(settings)
    try:
        there = wanted = monitor.ends()
        open_ = True
        most, deadline = -1, time.monotonic() + timeout_s
        while True:
            folded = monitor.folded()
            if open_:
                open_ = any(folded[tp] < end for tp, end in wanted.items() if tp.topic != Topic.VIDEO_DELTAS)
                wanted = there | monitor.ends([Topic.VIDEO_DELTAS])  # while events remain, more deltas come of them
            behind = _remaining(folded, wanted)
            remaining = total(behind)
            if progress is not None:
                progress(remaining)
            if remaining == 0:
                return
            # What arrives later is no progress: it would hide a partition that stands still.
            done = sum(min(folded[tp], end) for tp, end in (there if open_ else wanted).items())
            if done > most:
                most, deadline = done, time.monotonic() + timeout_s
            if time.monotonic() > deadline:
                where = {topic.value: rest for topic, parts in behind.items() if (rest := sum(parts.values()))}
                raise ServerError(
                    f"{remaining:,} messages remain and none was folded for {timeout_s:.0f} s ({where}); are "
                    "the workers up (`watchnext status`)? Their log says why"
                )
            time.sleep(_LOOK_EVERY_S)
    finally:
        monitor.close()


def _remaining(folded: Offsets, ends: Offsets) -> Lag:
    lag: Lag = {topic: {} for topic in INPUT_TOPICS}
    for tp, end in ends.items():
        lag[Topic(tp.topic)][tp.partition] = max(0, end - folded[tp])
    return lag
