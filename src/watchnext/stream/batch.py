"""Rows from the archive alone, without broker, worker or store: the recovery drill, and the check of the stream.

Every row is folded from its first event on. Channel and topics of a watch come from the whole archived catalogue: rows
are those of the stream wherever a video was published before it was watched.
"""

from collections.abc import Iterator

from watchnext.contracts.events import CatalogEvent
from watchnext.contracts.names import Topic, View
from watchnext.contracts.rows import ROW_OF_TOPIC, FeatureRow
from watchnext.settings import Settings
from watchnext.stream.archive import LOG_PARTITION, events_of, read_archive
from watchnext.stream.folds import Position, VideoFacts
from watchnext.stream.materializer import fold, late_ms
from watchnext.stream.topics import INPUT_TOPICS


def batch_fold(settings: Settings) -> dict[View, dict[str, FeatureRow]]:
    """The newest row of every key, by view and key, folded from `settings.archive_path`.

    >>> batch_fold(settings)[View.USER_SEARCHES]["u1"].last_query             # doctest: +SKIP
    'cats'
    """
    catalog = archived_catalog(settings)
    late = late_ms(settings)
    rows: dict[View, dict[str, FeatureRow]] = {}
    for topic in INPUT_TOPICS:
        view = ROW_OF_TOPIC[topic].VIEW
        current = rows.setdefault(view, {})
        table = read_archive(settings.archive_path, topic)
        partitions = table[LOG_PARTITION].to_pylist()
        for partition, (offset, event) in zip(partitions, events_of(table, topic), strict=True):
            row = fold(current.get(event.key), event, Position(partition, offset), catalog, late)
            if row is not None:
                current[event.key] = row
    return rows


def archived_catalog(settings: Settings) -> dict[str, VideoFacts]:
    """Channel and topics by video id; the last message of a video wins."""
    return {event.video_id: VideoFacts(event.channel_id, tuple(event.topics)) for event in _catalog_events(settings)}


def _catalog_events(settings: Settings) -> Iterator[CatalogEvent]:
    for _, event in events_of(read_archive(settings.archive_path, Topic.CATALOG), Topic.CATALOG):
        assert isinstance(event, CatalogEvent)
        yield event
