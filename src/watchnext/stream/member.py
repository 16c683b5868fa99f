"""A member of the consumer group: the loop that a worker process runs.

Poll, decode (what is bad becomes a dead letter), write through `Materializer`, commit. After a rebalance or a failure
nothing in memory is trusted: the member goes back to the committed offsets and finishes what was begun there.
"""

import threading
import time
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final

import structlog
from kafka import ConsumerRebalanceListener, KafkaConsumer, TopicPartition
from kafka.coordinator.assignors.range import RangePartitionAssignor
from kafka.errors import KafkaError
from kafka.structs import OffsetAndMetadata

from watchnext.clock import Clock
from watchnext.contracts.events import Event, encode
from watchnext.contracts.names import Topic, View
from watchnext.errors import EventError, ServerError, StoreError
from watchnext.ops.http import Health
from watchnext.ops.metrics import BATCH_SECONDS, BATCHES_ABANDONED, COMMITTED, DEAD_LETTERS, LAG, PARTITIONS
from watchnext.settings import Settings
from watchnext.store.offline import OfflineLog
from watchnext.store.rows import FeatureStoreRows
from watchnext.stream.archive import Batch, EventArchive
from watchnext.stream.catalogue import CatalogueFollower
from watchnext.stream.client import connecting, reading
from watchnext.stream.materializer import Materializer
from watchnext.stream.messages import dead_letter, letter_key, read_message
from watchnext.stream.producer import EventProducer
from watchnext.stream.topics import INPUT_TOPICS, ensure_topics

_POLL_MS: Final = 500
_FETCH_WAIT_MS: Final = 250  # together with the size below: few parts when events trickle, no wait when they pour
_FETCH_BYTES: Final = 64 * 1024
_BACK_OFF_S: Final = 1.0

_log = structlog.get_logger(__name__)


class Member(ConsumerRebalanceListener):  # type: ignore[misc]  # kafka-python has no types
    """Its collaborators are passed in; `worker.run` opens the real ones.

    Raises:
        ServerError: the broker does not answer.
    """

    def __init__(
        self,
        settings: Settings,
        name: str,
        *,
        health: Health,
        stop: threading.Event,
        clock: Clock,
        archive: EventArchive,
        offline: Mapping[View, OfflineLog],
        online: FeatureStoreRows,
        producer: EventProducer,
        catalogue: CatalogueFollower,
    ) -> None:
        kafka = settings.kafka
        self._settings = settings
        self._clock = clock
        self._producer = producer
        self._catalogue = catalogue
        self._health = health
        self._lease_s = kafka.session_timeout_ms / 2000
        self._confirmed = time.monotonic()
        self._stop = stop
        self._committed: dict[TopicPartition, int] = {}  # of the partitions taken over; empty: rebuild
        self._last_committed: dict[TopicPartition, int] = {}  # for the lag, which is shown while nothing goes on too
        self._events = 0
        self._materializer = Materializer(
            settings,
            archive=archive,
            offline=offline,
            online=online,
            producer=producer,
            catalog=catalogue.videos,
            confirm=self._confirm,
        )
        with connecting(settings):
            self._consumer = KafkaConsumer(
                **reading(settings),
                group_id=kafka.group,
                client_id=name,
                session_timeout_ms=kafka.session_timeout_ms,
                heartbeat_interval_ms=max(300, kafka.session_timeout_ms // 4),
                max_poll_records=kafka.batch_events,
                fetch_max_wait_ms=_FETCH_WAIT_MS,
                fetch_min_bytes=_FETCH_BYTES,
                partition_assignment_strategy=(RangePartitionAssignor,),
            )

    def run(self) -> None:
        """Work until `stop` is set, and then finish the batch in hand.

        Raises:
            ConfigError: a topic has grown: it has more partitions than `kafka.partitions`.
        """
        self._health.waiting("reading the catalogue")
        self._catalogue.catch_up(self._stop, self._health.beat)
        self._health.waiting("joining the group")
        self._consumer.subscribe([topic.value for topic in INPUT_TOPICS], listener=self)
        while not self._stop.is_set():
            try:
                self._step()
            except (KafkaError, StoreError, ServerError) as error:
                BATCHES_ABANDONED.labels("store" if isinstance(error, StoreError) else "broker").inc()
                _log.warning("batch_abandoned", error=str(error), kind=type(error).__name__)
                self._health.waiting(str(error))
                self._rebuild()
                self._stop.wait(_BACK_OFF_S)
        self._health.waiting("stopping")
        self._consumer.close(autocommit=False)
        self._catalogue.close()
        _log.info("worker_stopped", events=self._events)

    def on_partitions_assigned(self, assigned: Collection[TopicPartition]) -> None:
        """Kafka's word after each rebalance: all partitions are new to us."""
        _log.info("partitions_assigned", partitions=_names(assigned))
        self._confirmed = time.monotonic()
        self._rebuild()

    def on_partitions_revoked(self, revoked: Collection[TopicPartition]) -> None:
        """Another worker may have them from now on."""
        _log.info("partitions_revoked", partitions=_names(revoked))
        self._rebuild()

    def _step(self) -> None:
        self._health.beat()
        polled = self._consumer.poll(timeout_ms=_POLL_MS)
        assigned = self._consumer.assignment()
        self._measure(assigned)
        if self._committed.keys() != assigned:
            self._take_over(assigned)  # what was polled is read again from the committed offset
            return
        self._health.ready(f"{len(assigned)} partitions")
        self._catalogue.poll()
        if polled:
            batches = self._decode(polled)
            with BATCH_SECONDS.time():
                self._materializer.write(batches)
            self._commit({TopicPartition(batch.topic, batch.partition): batch.next_offset for batch in batches})
            self._events += sum(len(batch.events) for batch in batches)
            for batch in batches:
                self._materializer.tidy(batch.topic, batch.partition, batch.next_offset)

    def _take_over(self, assigned: Collection[TopicPartition]) -> None:
        """Go to the committed offsets, and finish the batches that were begun there."""
        self._rebuild()
        if any(tp.partition >= self._settings.kafka.partitions for tp in assigned):
            ensure_topics(self._settings)  # raises: keys have moved, and two workers would overwrite each other's rows
        self._producer.flush()  # what an abandoned batch left in the queue: no second copy of it piles up behind
        starts = {tp: self._consumer.committed(tp) for tp in sorted(assigned)}
        fresh = [tp for tp, offset in starts.items() if offset is None]
        if fresh:  # fix the first offset for good: it names the first part
            starts.update(self._consumer.beginning_offsets(fresh))
            self._commit({tp: starts[tp] for tp in fresh})
        self._committed.update(starts)
        self._last_committed.update(starts)
        for tp in starts:
            self._materializer.begin(Topic(tp.topic), tp.partition, self._committed[tp])
            while not self._stop.is_set():  # an offset that was set back has thousands of batches behind it
                self._health.beat()
                end = self._materializer.finish(Topic(tp.topic), tp.partition, self._committed[tp])
                if end is None:
                    break
                self._commit({tp: end})
            self._consumer.seek(tp, self._committed[tp])

    def _measure(self, assigned: Collection[TopicPartition]) -> None:
        """Show the lag, by what the last fetches told of the partitions' ends: no question to the broker."""
        behind = dict.fromkeys(INPUT_TOPICS, 0)
        for tp in assigned:
            end, start = self._consumer.highwater(tp), self._last_committed.get(tp)
            if end is not None and start is not None:
                behind[Topic(tp.topic)] += max(0, end - start)
        for topic, messages in behind.items():
            LAG.labels(topic.value).set(messages)
        PARTITIONS.set(len(assigned))

    def _rebuild(self) -> None:
        self._committed.clear()
        self._materializer.forget()

    def _decode(self, polled: Mapping[TopicPartition, Sequence[Any]]) -> list[Batch]:
        """Batches of the good messages; the bad ones are acknowledged as dead letters when this returns.

        Raises:
            ServerError: the broker took no dead letter, or a log begins before what was read of it.
        """
        now_ms = self._clock.now_ms()
        bad = 0
        batches = []
        for tp, records in polled.items():
            first = self._committed[tp]
            if records[0].offset < first:  # a row would take its events for repeated, and leave them out
                raise ServerError(
                    f"{tp.topic}/{tp.partition} was read up to offset {first} and its log is back at "
                    f"{records[0].offset}: Kafka has lost messages, or the topic was made anew. Stop the workers; "
                    "docs/stream.md says how to begin anew"
                )
            topic = Topic(tp.topic)
            events: list[tuple[int, Event]] = []
            for record in records:
                try:
                    event = read_message(
                        topic,
                        record.key,
                        record.value,
                        now_ms=now_ms,
                        future_minutes=self._settings.features.future_minutes,
                    )
                except EventError as error:
                    bad += 1
                    DEAD_LETTERS.labels(tp.topic, error.reason).inc()
                    self._producer.send_raw(Topic.DEAD_LETTERS, letter_key(record), encode(dead_letter(record, error)))
                    _log.warning(
                        "dead_letter",
                        topic=tp.topic,
                        partition=tp.partition,
                        offset=record.offset,
                        error=str(error)[:300],
                    )
                else:
                    if event is not None:
                        events.append((record.offset, event))
            batches.append(Batch(topic, tp.partition, first, records[-1].offset + 1, events))
        if bad:
            self._producer.flush()
        return batches

    def _confirm(self) -> None:
        """Ask the group whether we are still in it, unless it said so recently; a commit is fenced by the broker."""
        if time.monotonic() - self._confirmed > self._lease_s:
            self._commit(dict(self._committed))

    def _commit(self, offsets: Mapping[TopicPartition, int]) -> None:
        asked = time.monotonic()
        self._consumer.commit({tp: OffsetAndMetadata(offset, "", -1) for tp, offset in offsets.items()})
        self._confirmed = asked
        COMMITTED.set(self._clock.now_ms() / 1000)
        self._committed.update(offsets)
        self._last_committed.update(offsets)


def _names(partitions: Collection[TopicPartition]) -> list[str]:
    return [f"{tp.topic}/{tp.partition}" for tp in sorted(partitions)]
