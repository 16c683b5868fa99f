import threading
import time
from typing import Any

from watchnext.contracts.api import RecommendAnswer, RecommendedVideo, RecommendRequest
from watchnext.contracts.events import Event, ImpressionEvent, ServedEvent, ServedItem
from watchnext.contracts.names import Topic
from watchnext.recommend import served
from watchnext.recommend.metrics import SERVED_DROPPED
from watchnext.recommend.served import ServedLog, impressions, served_event

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

    def send(self, topic: Topic, event: Event) -> None:
        self.sent.append((topic, event))

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
        def send(self, topic: Topic, event: Event) -> None:
            release.wait()
            super().send(topic, event)

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


def test_a_broker_that_comes_back_gets_the_later_lists(monkeypatch: Any):
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
    log.close()
    assert len(kept.sent) == 3
