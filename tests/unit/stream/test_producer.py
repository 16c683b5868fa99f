import gc
from collections.abc import Iterator
from typing import Any

import pytest
from kafka.errors import KafkaConnectionError, KafkaTimeoutError
from kafka.future import Future

from watchnext.contracts.events import SearchEvent
from watchnext.contracts.names import Topic
from watchnext.errors import ServerError
from watchnext.settings import Settings
from watchnext.stream import producer
from watchnext.stream.producer import EventProducer, KeyPartitioner

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


class Client(Broker):
    """As kafka-python's own: it waits in `close` for what is under way, and fails that where it must not wait."""

    def flush(self, timeout: float) -> None:
        if any(not future.is_done for future in self.futures):
            raise KafkaTimeoutError("Timeout waiting for future")

    def close(self, timeout: float) -> None:
        self.flush(timeout)
        for future in self.futures:
            if not future.is_done:
                future.failure(KafkaTimeoutError("closed"))


@pytest.fixture
def clients(monkeypatch: pytest.MonkeyPatch) -> list[Client]:
    made: list[Client] = []

    def connect(**_: Any) -> Client:
        made.append(Client())
        return made[-1]

    monkeypatch.setattr(producer, "KafkaProducer", connect)
    return made


def test_after_a_message_that_failed_a_new_client_sends_and_the_old_ones_messages_are_told_of(clients: list[Client]):
    heard: list[tuple[str, type[Exception] | None]] = []

    def send(name: str) -> None:
        sender.send(Topic.SEARCH, EVENT, delivered=lambda error: heard.append((name, error and type(error))))

    sender = EventProducer(Settings())
    send("expires")
    send("is never sent")
    clients[0].futures[0].failure(KafkaTimeoutError("120000 ms has passed"))
    send("arrives")
    assert [len(one.futures) for one in clients] == [2, 1]
    clients[1].futures[0].success(None)
    send("arrives too")
    assert [len(one.futures) for one in clients] == [2, 2]
    assert heard == [("expires", KafkaTimeoutError), ("is never sent", KafkaTimeoutError), ("arrives", None)]


def test_while_no_broker_answers_the_old_client_keeps_its_messages(
    clients: list[Client], monkeypatch: pytest.MonkeyPatch
):
    sender = EventProducer(Settings())
    heard: list[Exception | None] = []
    for _ in range(2):
        sender.send(Topic.SEARCH, EVENT, delivered=heard.append)
    late = KafkaTimeoutError("late")
    clients[0].futures[0].failure(late)

    def refuse(**_: Any) -> Client:
        raise KafkaConnectionError

    monkeypatch.setattr(producer, "KafkaProducer", refuse)
    with pytest.raises(ServerError, match="no Kafka broker answered"):
        sender.send(Topic.SEARCH, EVENT, delivered=heard.append)
    assert heard == [late]


def test_messages_under_way_do_not_hide_the_error_that_ends_a_producer(clients: list[Client]):
    def send_one_and_fail() -> None:
        with EventProducer(Settings()) as sender:
            sender.send(Topic.SEARCH, EVENT)
            raise ValueError("the data ends here")

    with pytest.raises(ValueError, match="the data ends here"):
        send_one_and_fail()
    assert clients[0].futures[0].is_done


def test_a_broker_that_does_not_acknowledge_is_named_when_the_producer_closes(clients: list[Client]):
    with pytest.raises(ServerError, match="did not acknowledge all messages"), EventProducer(Settings()) as sender:
        sender.send(Topic.SEARCH, EVENT)


def test_garbage_is_collected_rarely_while_many_are_sent_and_as_before_afterwards(broker: Broker):
    before = gc.get_threshold()
    within = []

    def events() -> Iterator[tuple[Topic, SearchEvent]]:
        within.append(gc.get_threshold()[0])
        yield Topic.SEARCH, EVENT
        raise ValueError("the data ends here")

    with pytest.raises(ValueError, match="ends here"):
        EventProducer(Settings()).send_many(events())
    assert within == [20_000]
    assert gc.get_threshold() == before


class Cluster:
    """What a partitioner asks a client's metadata."""

    def __init__(self, partitions: int) -> None:
        self._partitions = set(range(partitions))

    def topics(self) -> set[str]:
        return {"watch-events"}

    def partitions_for_topic(self, _: str) -> set[int]:
        return self._partitions

    available_partitions_for_topic = partitions_for_topic


@pytest.mark.parametrize(
    ("key", "murmur2"),  # as the Java client's own tests have them: others must find a key where we put it
    [
        (b"21", -973932308),
        (b"foobar", -790332482),
        (b"abc", 479470107),
        (b"a-little-bit-long-string", -985981536),
        (b"a-little-bit-longer-string", -1486304829),
    ],
)
@pytest.mark.parametrize("partitions", [1, 4, 7])
def test_a_key_goes_where_the_java_client_puts_it(key: bytes, murmur2: int, partitions: int):
    wanted = (murmur2 & 0x7FFFFFFF) % partitions
    place = KeyPartitioner().partition
    for _ in range(2):
        assert place("watch-events", key, key, b"{}", b"{}", Cluster(partitions)) == wanted


def test_a_message_without_a_key_goes_to_any_partition():
    place = KeyPartitioner().partition
    assert {place("watch-events", None, None, b"{}", b"{}", Cluster(2)) for _ in range(100)} == {0, 1}
