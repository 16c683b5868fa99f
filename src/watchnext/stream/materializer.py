"""One batch of messages on its way to features: the order of writes, and how a batch that was cut short is finished.

    archive part -> offline part -> video deltas (flushed) -> online rows -> [the caller commits the offsets]

The archive part decides what the batch is; nothing after it depends on time or chance but the catalogue, and the
offline part, written once, decides that too. Both are created exclusively. So a batch can be finished by any worker,
any number of times: the offline part is a redo log (`finish`). `docs/adr/0010-stream-recovery.md` has the argument.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any
from zlib import crc32

import structlog

from watchnext.clock import DAY_MS
from watchnext.contracts.events import CatalogEvent, Event, VideoDelta
from watchnext.contracts.names import Topic, View
from watchnext.contracts.rows import ROW_OF_TOPIC, FeatureRow, UserRow
from watchnext.errors import StoreError
from watchnext.ops.metrics import EVENTS, ROWS_WRITTEN
from watchnext.parts import FAN, merge_parts, merged_up_to
from watchnext.settings import Settings, without_passwords
from watchnext.store.config import online_options
from watchnext.store.offline import OfflineLog
from watchnext.store.rows import FeatureStoreRows
from watchnext.stream.archive import Batch, EventArchive
from watchnext.stream.counters import delta_of, fold_catalog, fold_delta
from watchnext.stream.folds import Catalog, Position, fold_event, is_late
from watchnext.stream.producer import EventProducer
from watchnext.stream.rowcache import RowCache

_log = structlog.get_logger(__name__)


class Materializer:
    """Folds batches and writes what comes of them. Knows nothing of consumer groups.

    Args:
        settings: for `late_days`, and whether online rows expire.
        archive: where batches are decided.
        offline: the offline log of each view.
        online: the online store.
        producer: for the deltas.
        catalog: channel and topics by video id, kept up to date by its owner.
        confirm: raises when this worker may have lost its partitions; asked before each kind of write.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        archive: EventArchive,
        offline: Mapping[View, OfflineLog],
        online: FeatureStoreRows,
        producer: EventProducer,
        catalog: Catalog,
        confirm: Callable[[], None],
    ) -> None:
        self._late_ms = late_ms(settings)
        self._online_name = without_passwords(settings.features.online)
        self._expiring = "key_ttl_seconds" in online_options(settings.features.online)
        self._archive = archive
        self._offline = offline
        self._online = online
        self._producer = producer
        self._catalog = catalog
        self._confirm = confirm
        self._rows = RowCache(online)
        self._batches: dict[tuple[Topic, int], int] = {}  # by partition, since the last merge
        self._last: dict[tuple[Topic, int], FeatureRow] = {}  # by partition: the last row that went online

    def begin(self, topic: Topic, partition: int, first_offset: int) -> None:
        """Take a partition over at its committed offset.

        Raises:
            StoreError: the online store has lost what was folded before it.
        """
        last = self._offline[ROW_OF_TOPIC[topic].VIEW].last_row(topic, partition, first_offset)
        if last is not None:
            self._last[topic, partition] = last
        self._require_last(topic, partition)

    def write(self, batches: Sequence[Batch]) -> None:
        """Take fresh batches through all writes. Afterwards their offsets may be committed.

        Raises:
            StoreError: a part is there already (another worker has the partition), or a store failed or lost rows.
            ServerError: the broker took no deltas.
        """
        for batch in batches:
            self._require_last(batch.topic, batch.partition)
        self._confirm()
        for batch in batches:
            self._archive.write(batch)
        folded = [self._fold(batch) for batch in batches]
        self._confirm()
        for batch, rows in zip(batches, folded, strict=True):
            self._write_offline(batch, rows)
        self._publish(batches, folded)

    def finish(self, topic: Topic, partition: int, first_offset: int) -> int | None:
        """Finish the batch that begins at the committed offset, if a worker began it.

        An offset inside a merge was committed before and set back since: by hand, or because Kafka forgets those of a
        group that is away for long. A part that began there would count as merged, and whatever is new in it be lost.

        Returns:
            The offset to commit; None where no batch was begun.

        Raises:
            StoreError: as `write`, or the offline part there is of another batch than the archive's.
            ServerError: as `write`.
        """
        batch = self._archive.read(topic, partition, first_offset)
        log = self._offline[ROW_OF_TOPIC[topic].VIEW]
        if batch is None:
            for folder in (self._archive.folder(topic), log.folder):
                end = merged_up_to(folder, topic.value, partition, first_offset)
                if end is not None:
                    _log.warning("offset_set_back", topic=topic.value, partition=partition, at=first_offset, next=end)
                    return end
            return None
        rows = log.read_part(topic, partition, first_offset, batch.next_offset - 1)
        redo = rows is not None
        if rows is None:
            rows = self._fold(batch)
            self._confirm()
            self._write_offline(batch, rows)
        self._publish([batch], [rows])
        _log.info(
            "batch_finished",
            topic=topic.value,
            partition=partition,
            first=first_offset,
            next=batch.next_offset,
            redo=redo,
        )
        return batch.next_offset

    def forget(self) -> None:
        """Drop the rows in memory: another worker may have advanced them."""
        self._rows.clear()
        self._last.clear()

    def tidy(self, topic: Topic, partition: int, before: int) -> None:
        """Merge the parts of many batches, once in so many, below the committed offset `before`.

        What fails is left for the next time: events do not wait for it.
        """
        batches = self._batches.get((topic, partition), crc32(f"{topic.value}-{partition}".encode()) % FAN) + 1
        self._batches[topic, partition] = batches % FAN  # each partition begins elsewhere: not all merge at once
        if batches < FAN:
            return
        for folder in (self._archive.folder(topic), self._offline[ROW_OF_TOPIC[topic].VIEW].folder):
            try:
                merge_parts(folder, topic.value, partition, before=before)
            except StoreError as error:
                _log.warning("parts_not_merged", folder=str(folder), error=str(error))

    def _require_last(self, topic: Topic, partition: int) -> None:
        """On a store that came back empty the next rows would be made of nothing, and the log would hold them."""
        last = self._last.get((topic, partition))
        if last is None or self._expiring:
            return
        stored = self._online.read_row(last.VIEW, last.entity_id)
        if stored is None or stored.event_timestamp < last.event_timestamp:
            raise StoreError(
                f"the online store at {self._online_name} has lost rows: the last one of {topic.value}/{partition}, of "
                f"{last.entity_id!r}, is {'not there' if stored is None else 'older than in the offline log'}. Stop "
                "the workers, run `python -m watchnext.store.materialize`, start them again"
            )

    def _fold(self, batch: Batch) -> list[FeatureRow]:
        """The rows after each event that changed one, in order."""
        view = ROW_OF_TOPIC[batch.topic].VIEW
        current = self._rows.load(view, [event.key for _, event in batch.events])
        rows = []
        for offset, event in batch.events:
            position = Position(batch.partition, offset)
            before = current.get(event.key)
            row = fold(before, event, position, self._catalog, self._late_ms)
            if row is not None:
                current[event.key] = row
                rows.append(row)
            else:
                late = isinstance(before, UserRow) and is_late(before, event, self._late_ms)
                EVENTS.labels(batch.topic.value, "late" if late else "repeated").inc()
        self._rows.keep(rows)
        return rows

    def _write_offline(self, batch: Batch, rows: Sequence[FeatureRow]) -> None:
        log = self._offline[ROW_OF_TOPIC[batch.topic].VIEW]
        log.write_part(batch.topic, batch.partition, batch.first_offset, batch.next_offset - 1, rows)

    def _publish(self, batches: Sequence[Batch], folded: Sequence[Sequence[FeatureRow]]) -> None:
        for batch, rows in zip(batches, folded, strict=True):
            for delta in deltas(batch, rows):
                self._producer.send(Topic.VIDEO_DELTAS, delta)
        self._producer.flush()
        newest = {(row.VIEW, row.entity_id): row for rows in folded for row in rows}
        self._confirm()
        self._online.write(list(newest.values()))
        for view, _ in newest:
            ROWS_WRITTEN.labels(view.value).inc()
        for batch, rows in zip(batches, folded, strict=True):
            EVENTS.labels(batch.topic.value, "folded").inc(len(rows))
        self._last.update(
            {(batch.topic, batch.partition): rows[-1] for batch, rows in zip(batches, folded, strict=True) if rows}
        )


def fold(row: Any, event: Event, position: Position, catalog: Catalog, late: int) -> FeatureRow | None:
    """`row` (None, or the event's own kind) with an event of any input topic in it; None if it changes nothing."""
    if isinstance(event, VideoDelta):
        return fold_delta(row, event, position)
    if isinstance(event, CatalogEvent):
        return fold_catalog(row, event, position)
    return fold_event(row, event, position, catalog, late)


def deltas(batch: Batch, rows: Sequence[FeatureRow]) -> list[VideoDelta]:
    """What the events that `rows` came of add to their videos: an event that changed no row counts nothing."""
    folded = {row.offset for row in rows if isinstance(row, UserRow)}
    counted = (delta_of(event, Position(batch.partition, offset)) for offset, event in batch.events if offset in folded)
    return [delta for delta in counted if delta is not None]


def late_ms(settings: Settings) -> int:
    """`features.late_days` in milliseconds."""
    return round(settings.features.late_days * DAY_MS)
