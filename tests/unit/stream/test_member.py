import threading
from types import SimpleNamespace
from typing import Any

import pytest
from kafka import TopicPartition
from kafka.producer.record_accumulator import RecordAccumulator

from watchnext.clock import FixedClock
from watchnext.contracts.events import VideoDelta, encode
from watchnext.contracts.names import Topic
from watchnext.errors import ServerError
from watchnext.ops.http import Health
from watchnext.settings import Settings
from watchnext.stream import member, producer
from watchnext.stream.member import Member
from watchnext.stream.producer import EventProducer

DELTAS = [
    VideoDelta(video_id="v", topic="watch-events", partition=0, offset=offset, hour=1, available_at=1, watches=1)
    for offset in range(1_500)
]


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
    one: Any = Member(
        Settings(),
        "worker-1",
        health=Health(alive_s=60),
        stop=threading.Event(),
        clock=FixedClock(0),
        archive=None,  # type: ignore[arg-type]
        offline={},
        online=None,  # type: ignore[arg-type]
        producer=Stuck(),  # type: ignore[arg-type]
        catalogue=SimpleNamespace(videos={}),  # type: ignore[arg-type]
    )

    with pytest.raises(ServerError, match="did not acknowledge"):
        one._take_over({TopicPartition(Topic.WATCH.value, 0)})

    assert asked == [], "no batch was looked for"
