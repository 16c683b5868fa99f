import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
import structlog
from kafka.errors import KafkaTimeoutError
from kafka.future import Future

from tests.unit.waiting import eventually
from watchnext.contracts.api import MAX_REQUEST_ID, RecommendAnswer, RecommendedVideo, RecommendRequest
from watchnext.contracts.events import Event, ImpressionEvent, ServedEvent, ServedItem, decode, encode
from watchnext.contracts.names import MAX_K, Topic
from watchnext.errors import RequestError
from watchnext.ops.metrics import IMPRESSIONS_DROPPED, SERVED_DROPPED, SERVED_WRITTEN
from watchnext.recommend import served
from watchnext.recommend.served import ServedLog, impressions, served_event
from watchnext.settings import Settings
from watchnext.stream import producer
from watchnext.stream.producer import EventProducer

REQUEST = RecommendRequest(user_id="u", surface="tv", device="phone", country="fr", seed_video_id="s")
ANSWER = RecommendAnswer(
    request_id="r",
    user_id="u",
    generation="gen",
    overlay=3,
    arm="deep",
    served_at=77,
    items=[
        RecommendedVideo(
            video_id="a", position=0, sources=["tower", "fresh"], score=0.5, expected_seconds=9.0, features="AAAA"
        ),
        RecommendedVideo(video_id="b", position=1, sources=["static"], score=0.0),
    ],
)
EVENT = ServedEvent(
    user_id="u",
    request_id="r",
    served_at=77,
    surface="tv",
    device="phone",
    country="fr",
    generation="gen",
    overlay=3,
    arm="deep",
    items=[
        ServedItem(
            video_id="a", position=0, sources=["tower", "fresh"], scores=[0.5], expected_seconds=9.0, features="AAAA"
        ),
        ServedItem(video_id="b", position=1, sources=["static"]),
    ],
    seed_video_id="s",
)


class Kept:
    """A producer that keeps what it is given, in order."""

    def __init__(self) -> None:
        self.sent: list[tuple[Topic, Event]] = []
        self.closed = False

    def send(self, topic: Topic, event: Event, *, delivered: Callable[[Exception | None], None]) -> None:
        self.sent.append((topic, event))
        delivered(None)

    def close(self) -> None:
        self.closed = True


def test_the_event_is_the_whole_list():
    assert served_event(REQUEST, ANSWER) == EVENT


def test_stand_in_impressions_have_ids_that_repeat_with_the_request():
    first = ImpressionEvent(
        user_id="u", event_id="r:0", request_id="r", video_id="a", position=0, shown_at=77, surface="tv"
    )
    assert next(iter(impressions(EVENT))) == first
    assert [one.event_id for one in impressions(EVENT)] == ["r:0", "r:1"]


def test_the_longest_request_id_makes_impressions_that_can_be_read():
    asked = RecommendRequest(user_id="u", request_id="r" * MAX_REQUEST_ID).check()
    last = ServedItem(video_id="v", position=MAX_K - 1, sources=["tower"])
    served = ServedEvent(user_id="u", request_id=asked.request_id, served_at=77, items=[last])
    assert [decode(Topic.IMPRESSION, encode(one)) for one in impressions(served)] == [*impressions(served)]
    with pytest.raises(RequestError, match="request_id has 253 characters; wanted at most 252"):
        RecommendRequest(user_id="u", request_id="r" * (MAX_REQUEST_ID + 1)).check()


def test_lists_and_impressions_reach_the_producer():
    kept = Kept()
    log = ServedLog(lambda: kept, write_impressions=True)
    log.offer(REQUEST, ANSWER)
    log.close()
    assert [topic for topic, _ in kept.sent] == [Topic.SERVED, Topic.IMPRESSION, Topic.IMPRESSION]
    assert kept.closed


def test_without_the_flag_the_client_writes_impressions():
    kept = Kept()
    log = ServedLog(lambda: kept, write_impressions=False)
    log.offer(REQUEST, ANSWER)
    log.close()
    assert kept.sent == [(Topic.SERVED, EVENT)]


def test_a_hung_broker_delays_no_answer_and_what_does_not_fit_is_counted(monkeypatch: Any):
    monkeypatch.setattr(served, "CAPACITY", 3)
    release = threading.Event()

    class Hung(Kept):
        def send(self, topic: Topic, event: Event, *, delivered: Callable[[Exception | None], None]) -> None:
            release.wait()
            super().send(topic, event, delivered=delivered)

    kept = Hung()
    before = SERVED_DROPPED._value.get()
    log = ServedLog(lambda: kept, write_impressions=False)
    started = time.monotonic()
    for _ in range(10):
        log.offer(REQUEST, ANSWER)
    assert time.monotonic() - started < 5
    dropped = SERVED_DROPPED._value.get() - before
    release.set()
    log.close()
    assert dropped >= 6  # one in the producer's hands at most, three in the queue
    assert len(kept.sent) + dropped == 10


def test_a_broker_that_comes_back_gets_all_that_waited(monkeypatch: Any):
    monkeypatch.setattr(served, "RETRY_SECONDS", 0.01)
    kept = Kept()
    tries: list[int] = []

    def open_producer() -> Kept:
        tries.append(1)
        if len(tries) < 3:
            raise ConnectionError("no broker")
        return kept

    log = ServedLog(open_producer, write_impressions=False)
    for _ in range(5):
        log.offer(REQUEST, ANSWER)
    eventually(lambda: len(kept.sent) == 5)
    log.close()
    assert kept.closed


def test_lists_that_never_saw_a_broker_are_counted_when_the_gateway_ends(monkeypatch: Any):
    monkeypatch.setattr(served, "RETRY_SECONDS", 0.01)

    def open_producer() -> Kept:
        raise ConnectionError("no broker")

    written, dropped, _ = counts()
    log = ServedLog(open_producer, write_impressions=False)
    for _ in range(3):
        log.offer(REQUEST, ANSWER)
    log.close()
    assert counts()[:2] == [written, dropped + 3]


class LateKafka:
    """A Kafka client that takes each message at once and tells of its fate later, by position."""

    def __init__(self) -> None:
        self.topics: list[str] = []
        self.futures: list[Future] = []
        self.closed = False

    def send(self, topic: str, **_: Any) -> Future:
        self.topics.append(topic)
        self.futures.append(Future())
        return self.futures[-1]

    def flush(self, timeout: float) -> None:
        pass

    def close(self, timeout: float) -> None:
        self.closed = True


def counts() -> list[float]:
    return [metric._value.get() for metric in (SERVED_WRITTEN, SERVED_DROPPED, IMPRESSIONS_DROPPED)]


@pytest.fixture
def kafka(monkeypatch: pytest.MonkeyPatch) -> LateKafka:
    one = LateKafka()
    monkeypatch.setattr(producer, "KafkaProducer", lambda **_: one)
    return one


def write(lists: int, kafka: LateKafka, fate: Callable[[int, Future], object], *, write_impressions: bool) -> None:
    """Lists that are all taken, then `fate` by fate acknowledged or refused; then one more list."""
    log = ServedLog(lambda: EventProducer(Settings()), write_impressions=write_impressions)
    messages = lists * (3 if write_impressions else 1)  # a list of two videos has two impressions
    for _ in range(lists):
        log.offer(REQUEST, ANSWER)
    deadline = time.monotonic() + 30
    while len(kafka.futures) < messages and time.monotonic() < deadline:
        time.sleep(0.005)
    for position, future in enumerate(kafka.futures[:messages]):
        fate(position, future)
    log.offer(REQUEST, ANSWER)
    log.close()


def test_each_list_that_kafka_lost_is_counted_and_the_next_one_is_sent(kafka: LateKafka):
    written, dropped, _ = counts()
    write(
        5,
        kafka,
        lambda position, future: future.success(None) if position == 2 else future.failure(KafkaTimeoutError("late")),
        write_impressions=False,
    )
    assert kafka.topics == [Topic.SERVED.value] * 6
    assert counts()[:2] == [written + 1, dropped + 4]  # the sixth has no answer of Kafka yet
    assert kafka.closed


def test_a_list_is_written_when_kafka_acknowledged_it(kafka: LateKafka):
    written, dropped, _ = counts()
    write(3, kafka, lambda position, future: future.success(None), write_impressions=False)
    assert counts()[:2] == [written + 3, dropped]
    kafka.futures[3].success(None)
    assert counts()[:2] == [written + 4, dropped]


def test_a_lost_impression_is_no_lost_list(kafka: LateKafka):
    written, dropped, impressions_dropped = counts()
    write(
        1,
        kafka,
        lambda position, future: future.success(None) if position == 0 else future.failure(KafkaTimeoutError("late")),
        write_impressions=True,
    )
    assert counts() == [written + 1, dropped, impressions_dropped + 2]


def test_of_a_list_that_kafka_did_not_take_the_impressions_are_not_written_either():
    class Full(Kept):
        def send(self, topic: Topic, event: Event, *, delivered: Callable[[Exception | None], None]) -> None:
            raise KafkaTimeoutError("no metadata")

    written, dropped, impressions_dropped = counts()
    log = ServedLog(Full, write_impressions=True)
    log.offer(REQUEST, ANSWER)
    log.close()
    assert counts() == [written, dropped + 1, impressions_dropped + 2]


def test_lists_that_no_broker_took_until_the_gateway_ended_are_told():
    release = threading.Event()

    class Hung(Kept):
        def send(self, topic: Topic, event: Event, *, delivered: Callable[[Exception | None], None]) -> None:
            release.wait()

    log = ServedLog(Hung, write_impressions=True)
    for _ in range(5):
        log.offer(REQUEST, ANSWER)
    with structlog.testing.capture_logs() as logs:
        log.close(timeout_s=0.05)
    release.set()
    assert [(one["event"], one["lists"]) for one in logs] == [("served_events_lost", 5)]


def test_where_all_is_written_the_end_is_silent():
    log = ServedLog(Kept, write_impressions=True)
    log.offer(REQUEST, ANSWER)
    with structlog.testing.capture_logs() as logs:
        log.close()
    assert logs == []
