"""The producer of events: keyed, batched, idempotent. Whatever it was given is acknowledged when `flush` returns.

>>> with EventProducer(load_settings()) as producer:                              # doctest: +SKIP
...     producer.send(Topic.SEARCH, SearchEvent(event_id="e1", user_id="u1", query="cats", searched_at=1))
"""

import gc
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import lru_cache, partial
from types import TracebackType
from typing import Any, Final, Self

from kafka import KafkaProducer
from kafka.errors import KafkaError, MessageSizeTooLargeError
from kafka.partitioner import DefaultPartitioner, murmur2

from watchnext.contracts.events import Event, encode
from watchnext.contracts.names import Topic
from watchnext.errors import EventError, ServerError
from watchnext.settings import Settings
from watchnext.stream.client import connecting, connection

RARELY: Final = (20_000, 20, 20)  # garbage collector's thresholds, where much is held that makes no cycles
_BATCH_BYTES: Final = 256 * 1024
_LINGER_MS: Final = 20
_FLUSH_S: Final = 60.0
_NEVER_MS: Final = 2**31 - 1  # 24 days
_FLUSH_EVERY: Final = 20_000  # bounds the memory that unacknowledged messages take

_hash = lru_cache(maxsize=100_000)(murmur2)  # of a key, in pure Python

Delivered = Callable[[Exception | None], None]  # hears of one message, on the client's thread: None is acknowledged


@contextmanager
def _rare_collections() -> Iterator[None]:
    """Fewer garbage collections inside: each looks through the futures of all messages that await their flush."""
    before = gc.get_threshold()
    gc.set_threshold(*RARELY)
    try:
        yield
    finally:
        gc.set_threshold(*before)


class KeyPartitioner(DefaultPartitioner):  # type: ignore[misc]  # kafka-python has no types
    """Kafka's partition of a key, its hash remembered: users and videos recur. A seventh of the time of a send."""

    def partition(
        self,
        topic: str,
        key: bytes | None,
        serialized_key: bytes | None,
        value: bytes | None,
        serialized_value: bytes | None,
        cluster: Any,
    ) -> int:
        """As `DefaultPartitioner`: positive murmur2 of the key, modulo the partitions; any of them without a key."""
        if serialized_key is None:
            return int(super().partition(topic, key, serialized_key, value, serialized_value, cluster))
        return int((_hash(serialized_key) & 0x7FFFFFFF) % len(cluster.partitions_for_topic(topic)))


class EventProducer:
    """Sends events to their topics; one a process, safe to share between threads.

    Record time is the send time (retention must not delete a replay); the event's own times are in its body.

    Args:
        settings: for the broker.
        client_id: what the broker calls it.
        expires: whether the client gives a message up that the broker did not take for two minutes. One given up
            leaves a gap before those that were queued after it.
    """

    def __init__(self, settings: Settings, *, client_id: str = "watchnext-producer", expires: bool = True) -> None:
        self._settings = settings
        self._client_id = client_id
        self._expires = expires
        self._bootstrap = settings.kafka.bootstrap
        self._failure: BaseException | None = None
        self._taking = threading.Lock()  # no message goes to a client that is being replaced
        self._spent = False
        self._kafka = self._connected()

    def _connected(self) -> Any:
        with connecting(self._settings):
            return KafkaProducer(
                **connection(self._settings),
                client_id=self._client_id,
                acks="all",
                enable_idempotence=True,
                compression_type="lz4",
                batch_size=_BATCH_BYTES,
                linger_ms=_LINGER_MS,
                allow_auto_create_topics=False,
                partitioner=KeyPartitioner(),
                **({} if self._expires else {"delivery_timeout_ms": _NEVER_MS}),
            )

    def send(self, topic: Topic, event: Event, *, delivered: Delivered | None = None) -> None:
        """Queue one event under its own key; `flush` tells whether it arrived, or `delivered` where it is given.

        Raises:
            EventError: its JSON is larger than a message may be.
            ServerError: the broker does not take messages, or refused an earlier one of which `flush` tells.
        """
        self.send_raw(topic, event.key.encode(), encode(event), delivered=delivered)

    def send_raw(
        self,
        topic: Topic,
        key: bytes | None,
        value: bytes | None,
        *,
        partition: int | None = None,
        delivered: Delivered | None = None,
    ) -> None:
        """Queue bytes as they are (dead letters, tests of bad messages)."""
        try:
            with self._taking:
                spent = self._spent  # read first: whoever sets it has noted the failure before
                if delivered is None:
                    self._raise_failure()  # or this message would overtake the failed one, through the new client
                kafka = self._renewed() if spent else self._kafka
                future = kafka.send(topic.value, key=key, value=value, partition=partition)
        except MessageSizeTooLargeError as error:
            raise EventError(
                f"{topic.value}: a message of {len(value or b''):,} bytes is too large: {error}"
            ) from error
        except KafkaError as error:
            raise ServerError(f"the broker at {self._bootstrap} took no message for {topic.value}: {error}") from error
        future.add_errback(partial(self._failed, kafka, delivered or self._note))
        if delivered is not None:
            future.add_callback(lambda _: delivered(None))

    @_rare_collections()
    def send_many(
        self,
        events: Iterable[tuple[Topic, Event]],
        progress: Callable[[int], None] | None = None,
        acknowledged: Callable[[int], None] | None = None,
    ) -> int:
        """Send all and wait for the acknowledgements.

        Args:
            events: topic and event.
            progress: hears how many were sent, now and then.
            acknowledged: hears how many have arrived, at each flush.

        Returns:
            How many there were.
        """
        count = 0
        for topic, event in events:
            self.send(topic, event)
            count += 1
            if count % _FLUSH_EVERY == 0:
                self.flush()
                if acknowledged is not None:
                    acknowledged(count)
            if progress is not None and count % 1_000 == 0:
                progress(count)
        self.flush()
        if progress is not None:
            progress(count)
        return count

    def flush(self) -> None:
        """Wait until all that was sent is acknowledged.

        Raises:
            ServerError: a message without `delivered` was refused, or there was no answer for a minute.
        """
        try:
            self._kafka.flush(timeout=_FLUSH_S)
        except KafkaError as error:
            raise ServerError(f"the broker at {self._bootstrap} did not acknowledge all messages: {error}") from error
        self._raise_failure()

    def close(self) -> None:
        """Flush and disconnect."""
        try:
            self.flush()
        except ServerError:
            _abandon(self._kafka)
            raise
        self._kafka.close(timeout=5)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self.close()
        else:
            _abandon(self._kafka)

    def _renewed(self) -> Any:
        """A new client in the place of one that failed a message.

        kafka-python's idempotent client is of no more use then. Where a message expired that it had sent before, it
        drops its producer id and never asks for another: it takes messages, sends none, and tells of none. Where the
        broker refused one, it fails all that follow.
        """
        fresh = self._connected()
        spent, self._kafka, self._spent = self._kafka, fresh, False
        _abandon(spent)
        return fresh

    def _failed(self, kafka: Any, tell: Callable[[Exception], None], error: Exception) -> None:
        tell(error)
        if kafka is self._kafka:
            self._spent = True

    def _note(self, error: Exception) -> None:
        self._failure = error

    def _raise_failure(self) -> None:
        failure, self._failure = self._failure, None
        if failure is not None:
            raise ServerError(f"the broker at {self._bootstrap} refused a message: {failure}") from failure


def _abandon(kafka: Any) -> None:
    """Close without waiting; what is under way fails. `close` would flush first, raise on it, and leave all running."""
    kafka.flush = lambda timeout=None: None
    kafka.close(timeout=0)
