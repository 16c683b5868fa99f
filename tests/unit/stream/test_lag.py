from types import SimpleNamespace

import pytest
from kafka import TopicPartition

from watchnext.contracts.names import Topic
from watchnext.errors import ServerError
from watchnext.settings import Kafka, Settings
from watchnext.stream import lag as module
from watchnext.stream.lag import wait_until_caught_up

SETTINGS = Settings(kafka=Kafka(partitions=1))
WATCHES, SEARCHES, DELTAS = (
    TopicPartition(topic.value, 0) for topic in (Topic.WATCH, Topic.SEARCH, Topic.VIDEO_DELTAS)
)


class Log:
    """Stands for Kafka and the workers: each second `arriving` watches come, `folding` are folded, each to a delta."""

    def __init__(self, *, there: int, arriving: int, folding: int) -> None:
        self.now = 0.0
        self.arriving, self.folding = arriving, folding
        self.end = {WATCHES: there, DELTAS: 0}
        self.done = {WATCHES: 0, DELTAS: 0}

    def sleep(self, seconds: float) -> None:
        self.now += 1
        for partition in (DELTAS, WATCHES):  # the deltas of a second wait for the next
            before = self.done[partition]
            self.done[partition] = min(self.end[partition], before + self.folding)
            if partition == WATCHES:
                self.end[DELTAS] += self.done[WATCHES] - before
        self.end[WATCHES] += self.arriving

    def committed(self, partition: TopicPartition) -> int | None:
        return self.done.get(partition)

    def beginning_offsets(self, partitions: list[TopicPartition]) -> dict[TopicPartition, int]:
        return dict.fromkeys(partitions, 0)

    def end_offsets(self, partitions: list[TopicPartition]) -> dict[TopicPartition, int]:
        return {partition: self.end.get(partition, 0) for partition in partitions}

    def close(self, autocommit: bool) -> None:
        pass


def wait(monkeypatch: pytest.MonkeyPatch, log: Log) -> list[int]:
    """What a wait of 5 s without progress hears."""
    monkeypatch.setattr(module, "KafkaConsumer", lambda **_: log)
    monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: log.now, sleep=log.sleep))
    heard: list[int] = []
    wait_until_caught_up(SETTINGS, 5, heard.append)
    return heard


def test_a_steady_inflow_is_not_taken_for_workers_that_stand_still(monkeypatch):
    """As many came as were folded, so that what remained never fell: "none was folded for 120 s"."""
    log = Log(there=1_000, arriving=100, folding=100)

    heard = wait(monkeypatch, log)

    assert log.done[WATCHES] >= 1_000
    assert log.done[DELTAS] >= 1_000  # of the watches that were there at the beginning
    assert heard[0] == 1_000
    assert heard[-1] == 0


def test_workers_that_are_slow_are_waited_for(monkeypatch):
    log = Log(there=50, arriving=0, folding=1)

    wait(monkeypatch, log)

    assert log.done == {WATCHES: 50, DELTAS: 50}


def test_a_partition_that_stands_still_is_told_whatever_else_arrives(monkeypatch):
    log = Log(there=100, arriving=10, folding=10)
    log.end[SEARCHES] = 3

    with pytest.raises(ServerError, match=r"3 messages .* 5 s \({'search-events': 3"):
        wait(monkeypatch, log)


def test_workers_that_stand_still_are_told_with_what_remains(monkeypatch):
    log = Log(there=1_234, arriving=10, folding=0)

    with pytest.raises(
        ServerError, match=r"1,234 messages remain and none was folded for 5 s \({'watch-events': 1234}"
    ):
        wait(monkeypatch, log)
