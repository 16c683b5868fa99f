"""An event archive and an offline feature log as the stream would leave them, folded here without a broker."""

from collections import defaultdict
from collections.abc import Iterable
from typing import Final
from zlib import crc32

from watchnext.contracts.events import CatalogEvent, Event
from watchnext.contracts.names import Topic
from watchnext.contracts.rows import ROW_OF_TOPIC, FeatureRow
from watchnext.data.records import Dataset, Record
from watchnext.settings import Settings
from watchnext.store.offline import OfflineLog
from watchnext.stream.archive import Batch, EventArchive
from watchnext.stream.counters import delta_of
from watchnext.stream.folds import Position, VideoFacts
from watchnext.stream.materializer import fold, late_ms

PARTITIONS: Final = 2


def records_of(dataset: Dataset) -> list[Record]:
    """A whole data set in the order of sending."""
    catalog = [(Topic.CATALOG, event) for event in dataset.catalog()]
    profiles = [(Topic.PROFILE, event) for event in dataset.profiles()]
    return [*catalog, *profiles, *dataset.events()]


def write_records(settings: Settings, records: Iterable[Record]) -> None:
    """Archive and offline log of these records, one part a partition."""
    facts: dict[str, VideoFacts] = {}
    rows: dict[tuple[Topic, str], FeatureRow] = {}
    events: dict[tuple[Topic, int], list[tuple[int, Event]]] = defaultdict(list)
    folded: dict[tuple[Topic, int], list[FeatureRow]] = defaultdict(list)
    offsets: dict[tuple[Topic, int], int] = defaultdict(int)

    def take(topic: Topic, event: Event) -> None:
        partition = crc32(event.key.encode()) % PARTITIONS
        position = Position(partition, offsets[topic, partition])
        offsets[topic, partition] += 1
        if isinstance(event, CatalogEvent):
            facts[event.video_id] = VideoFacts(event.channel_id, tuple(event.topics))
        events[topic, partition].append((position.offset, event))
        row = fold(rows.get((topic, event.key)), event, position, facts, late_ms(settings))
        if row is not None:
            rows[topic, event.key] = row
            folded[topic, partition].append(row)
            delta = delta_of(event, position)
            if delta is not None:
                take(Topic.VIDEO_DELTAS, delta)

    for topic, event in records:
        take(topic, event)
    archive = EventArchive(settings.archive_path)
    for (topic, partition), batch in events.items():
        archive.write(Batch(topic, partition, 0, len(batch), batch))
    for (topic, partition), done in folded.items():
        log = OfflineLog(settings.offline_path, ROW_OF_TOPIC[topic].VIEW)
        log.write_part(topic, partition, 0, offsets[topic, partition] - 1, done)
