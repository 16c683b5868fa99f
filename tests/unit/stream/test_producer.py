from typing import Any

import pytest
from kafka.errors import KafkaTimeoutError
from kafka.future import Future

from watchnext.contracts.events import SearchEvent
from watchnext.contracts.names import Topic
from watchnext.errors import ServerError
from watchnext.settings import Settings
from watchnext.stream import producer
from watchnext.stream.producer import EventProducer

EVENT = SearchEvent(event_id="e1", user_id="u1", query="cats", searched_at=1)


class Broker:
    """A Kafka client whose messages' fates are decided by the test."""

    def __init__(self) -> None:
        self.futures: list[Future] = []

    def send(self, topic: str, **_: Any) -> Future:
        self.futures.append(Future())
        return self.futures[-1]

    def flush(self, timeout: float) -> None:
        pass

    def close(self, timeout: float) -> None:
        pass


@pytest.fixture
def broker(monkeypatch: pytest.MonkeyPatch) -> Broker:
    one = Broker()
    monkeypatch.setattr(producer, "KafkaProducer", lambda **_: one)
    return one


def test_flush_fails_where_a_message_was_refused(broker: Broker):
    sender = EventProducer(Settings())
    sender.send(Topic.SEARCH, EVENT)
    broker.futures[0].failure(KafkaTimeoutError("late"))
    with pytest.raises(ServerError, match="refused a message"):
        sender.flush()


def test_the_next_message_fails_where_one_was_refused_and_nobody_listens(broker: Broker):
    sender = EventProducer(Settings())
    sender.send(Topic.SEARCH, EVENT)
    broker.futures[0].failure(KafkaTimeoutError("late"))
    with pytest.raises(ServerError, match="refused a message"):
        sender.send(Topic.SEARCH, EVENT)


def test_who_listens_hears_of_its_message_and_no_other_fails_for_it(broker: Broker):
    heard: list[Exception | None] = []
    late = KafkaTimeoutError("late")
    sender = EventProducer(Settings())
    for _ in range(3):
        sender.send(Topic.SEARCH, EVENT, delivered=heard.append)
    broker.futures[0].failure(late)
    broker.futures[2].failure(late)
    broker.futures[1].success(None)
    sender.send(Topic.SEARCH, EVENT)
    sender.flush()
    assert heard == [late, late, None]
    assert len(broker.futures) == 4
