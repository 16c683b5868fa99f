import threading
from types import SimpleNamespace
from typing import Any

import pytest
from kafka import TopicPartition
from kafka.producer.record_accumulator import RecordAccumulator

from watchnext.clock import FixedClock
from watchnext.contracts.events import SearchEvent, VideoDelta, encode
from watchnext.contracts.names import Topic
from watchnext.errors import ConfigError, ServerError
from watchnext.ops.http import Health
from watchnext.settings import Settings
from watchnext.stream import member, producer, topics
from watchnext.stream.member import Member
from watchnext.stream.producer import EventProducer

DELTAS = [
    VideoDelta(video_id="v", topic="watch-events", partition=0, offset=offset, hour=1, available_at=1, watches=1)
    for offset in range(1_500)
]


def a_member(*, producer: Any = None) -> Any:
    """A member without stores."""
    return Member(
        Settings(),
        "worker-1",
        health=Health(alive_s=60),
        stop=threading.Event(),
        clock=FixedClock(0),
        archive=None,  # type: ignore[arg-type]
        offline={},
        online=None,  # type: ignore[arg-type]
        producer=producer,
        catalogue=SimpleNamespace(videos={}, catch_up=lambda stop, turn: None),  # type: ignore[arg-type]
    )


def test_no_part_of_an_abandoned_batch_expires_and_lets_the_rest_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two copies of a batch shared a record batch of the client; it expired, and the end of the second arrived alone.

    The row of the video then held the beginning, in whatever copy it came after that, for counted.
    """
    used: dict[str, Any] = {}
    monkeypatch.setattr(producer, "KafkaProducer", lambda **arguments: used.update(arguments))
    EventProducer(Settings(), expires=False)
    queue = RecordAccumulator(**{name: used[name] for name in ("batch_size", "linger_ms", "delivery_timeout_ms")})
    partition = TopicPartition(Topic.VIDEO_DELTAS.value, 0)
    for now in (0.0, 61.0):  # a flush gives up after a minute, and the batch is sent again
        for delta in DELTAS:
            queue.append(partition, 0, b"v", encode(delta), [], now=now)

    assert len(queue._batches[partition]) > 1, "the second copy begins in the record batch of the first"
    assert queue.expired_batches(now=3_600.0) == []


def test_nothing_is_sent_again_while_the_queue_holds_what_was_sent_before(monkeypatch: pytest.MonkeyPatch) -> None:
    class Stuck:
        def flush(self) -> None:
            raise ServerError("the broker did not acknowledge all messages")

    asked: list[object] = []
    consumer = SimpleNamespace(committed=lambda tp: asked.append(tp) or 0)
    monkeypatch.setattr(member, "KafkaConsumer", lambda **_: consumer)
    one = a_member(producer=Stuck())

    with pytest.raises(ServerError, match="did not acknowledge"):
        one._take_over({TopicPartition(Topic.WATCH.value, 0)})

    assert asked == [], "no batch was looked for"


def test_a_log_that_begins_anew_is_not_taken_for_repeated_events(monkeypatch: pytest.MonkeyPatch) -> None:
    """Kafka's volume was lost, the rows were not: what users did until the old offsets were reached left no trace."""
    monkeypatch.setattr(member, "KafkaConsumer", lambda **_: None)
    one, partition = a_member(), TopicPartition(Topic.SEARCH.value, 0)
    event = SearchEvent(event_id="e", user_id="u", query="cats", searched_at=0)

    def polled(offset: int) -> dict[TopicPartition, list[Any]]:
        return {partition: [SimpleNamespace(offset=offset, key=b"u", value=encode(event))]}

    one._committed = {partition: 1_000}
    with pytest.raises(ServerError, match=r"search-events/0 was read up to offset 1000 and its log is back at 3"):
        one._decode(polled(3))
    [batch] = one._decode(polled(1_005))  # retention deleted what came before
    assert (batch.first_offset, batch.next_offset, batch.events) == (1_000, 1_006, [(1_005, event)])


def test_a_topic_that_grows_ends_the_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keys move to the new partitions: each of two workers went on from its own row, and counts were lost."""
    described = [{"name": topic.value, "partitions": [0] * 5} for topic in Topic]
    broker = SimpleNamespace(
        list_topics=lambda: [topic.value for topic in Topic],
        wait_for_topics=lambda _: None,
        describe_topics=lambda _: described,
        close=lambda: None,
    )
    monkeypatch.setattr(topics, "KafkaAdminClient", lambda **_: broker)
    consumer = SimpleNamespace(
        subscribe=lambda names, listener: None,
        poll=lambda timeout_ms: {},
        assignment=lambda: {TopicPartition(Topic.VIDEO_DELTAS.value, 4)},
        highwater=lambda _: None,
    )
    monkeypatch.setattr(member, "KafkaConsumer", lambda **_: consumer)

    with pytest.raises(ConfigError, match=r"has 5 partitions, kafka\.partitions is 4"):
        a_member().run()


def test_a_worker_that_finishes_thousands_of_batches_is_alive_and_ends_when_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Offsets were set back, by hand or since Kafka forgot them: the loop did not turn, and SIGTERM waited."""
    consumer = SimpleNamespace(committed=lambda tp: 0, commit=lambda offsets: None, seek=lambda tp, offset: None)
    monkeypatch.setattr(member, "KafkaConsumer", lambda **_: consumer)
    one = a_member(producer=SimpleNamespace(flush=lambda: None))
    now = 0.0
    one._health = Health(alive_s=60, monotonic=lambda: now)
    told: list[tuple[int, str]] = []

    def finish(topic: Topic, partition: int, offset: int) -> int | None:
        nonlocal now
        now += 50
        told.append(one._health.healthz())
        if offset == 2:
            one._stop.set()
        return offset + 1 if offset < 1_000 else None

    monkeypatch.setattr(
        one, "_materializer", SimpleNamespace(begin=lambda *_: None, forget=lambda: None, finish=finish)
    )

    one._take_over({TopicPartition(Topic.WATCH.value, number) for number in (0, 1)})

    assert told == [(200, "alive")] * 3
