"""Pure folds of video rows: the catalogue entry, and the counters that user events add up to.

Counters reach their video through the topic `video-deltas`: a user event becomes a `VideoDelta` that carries its origin
(topic, partition, offset), and a row keeps the last origin offset that it counted of each user partition. A worker that
repeats a batch sends the same deltas again, in the same order, and they are not counted twice.

The buckets are the newest BUCKETS distinct hours seen so far, each with all of its counts, whatever the order in which
events come: an hour is in the newest so many from its first event on, or never again.
"""

from bisect import bisect_left

from watchnext.clock import HOUR_MS
from watchnext.contracts.events import CatalogEvent, Event, ImpressionEvent, VideoDelta, WatchEvent
from watchnext.contracts.names import Topic
from watchnext.contracts.rows import VideoCatalog, VideoCounters
from watchnext.features import spec
from watchnext.stream.folds import Position, timestamp


def delta_of(event: Event, position: Position) -> VideoDelta | None:
    """What a user event adds to its video's counters; None for events that count nothing.

    Counters go by the hour and fade: a watch of unknown time has no place in them.
    """
    if isinstance(event, WatchEvent) and event.timed:
        return VideoDelta(
            video_id=event.video_id,
            topic=Topic.WATCH.value,
            partition=position.partition,
            offset=position.offset,
            hour=event.at_ms // HOUR_MS,
            available_at=event.at_ms,
            clicks=int(event.request_id is not None),
            watches=1,
            watch_ms=round(event.watch_seconds * 1000),
        )
    if isinstance(event, ImpressionEvent):
        return VideoDelta(
            video_id=event.video_id,
            topic=Topic.IMPRESSION.value,
            partition=position.partition,
            offset=position.offset,
            hour=event.at_ms // HOUR_MS,
            available_at=event.at_ms,
            impressions=1,
        )
    return None


def fold_delta(row: VideoCounters | None, delta: VideoDelta, position: Position) -> VideoCounters | None:
    """`row` with `delta` counted, or None if it was counted before."""
    row = row or VideoCounters(entity_id=delta.video_id)
    origins, offsets = row.origins.copy(), row.origin_offsets.copy()
    origin = f"{delta.topic}/{delta.partition}"
    index = bisect_left(origins, origin)
    if index < len(origins) and origins[index] == origin:
        if delta.offset <= offsets[index]:
            return None
        offsets[index] = delta.offset
    else:
        origins.insert(index, origin)
        offsets.insert(index, delta.offset)
    counted = VideoCounters(
        entity_id=row.entity_id,
        event_timestamp=timestamp(delta.available_at, row.event_timestamp),
        partition=position.partition,
        offset=position.offset,
        origins=origins,
        origin_offsets=offsets,
        bucket_hours=row.bucket_hours.copy(),
        bucket_impressions=row.bucket_impressions.copy(),
        bucket_clicks=row.bucket_clicks.copy(),
        bucket_watches=row.bucket_watches.copy(),
        bucket_watch_ms=row.bucket_watch_ms.copy(),
        older_impressions=row.older_impressions,
        older_clicks=row.older_clicks,
        older_watches=row.older_watches,
        older_watch_ms=row.older_watch_ms,
    )
    count(counted, delta)
    return counted


def fold_catalog(row: VideoCatalog | None, event: CatalogEvent, position: Position) -> VideoCatalog | None:
    """The catalogue row of the video; the last message wins. None for a message that the row has already seen."""
    if row is not None and row.partition == position.partition and position.offset <= row.offset:
        return None
    return VideoCatalog(
        entity_id=event.video_id,
        event_timestamp=timestamp(event.uploaded_at, row.event_timestamp if row else 0),
        partition=position.partition,
        offset=position.offset,
        channel_id=event.channel_id,
        topics=event.topics,
        language=event.language,
        uploaded_at=event.uploaded_at,
        video_seconds=event.video_seconds,
        title=event.title,
        restricted_countries=event.restricted_countries,
    )


def count(row: VideoCounters, delta: VideoDelta) -> None:
    """Add `delta` to the lists of `row`, in place. The result does not depend on the order of the deltas."""
    hours = row.bucket_hours
    index = bisect_left(hours, delta.hour)
    if index == len(hours) or hours[index] != delta.hour:
        if index == 0 and len(hours) == spec.BUCKETS:
            _count_older(row, delta.impressions, delta.clicks, delta.watches, delta.watch_ms)
            return
        hours.insert(index, delta.hour)
        for counts in (row.bucket_impressions, row.bucket_clicks, row.bucket_watches, row.bucket_watch_ms):
            counts.insert(index, 0)
    row.bucket_impressions[index] += delta.impressions
    row.bucket_clicks[index] += delta.clicks
    row.bucket_watches[index] += delta.watches
    row.bucket_watch_ms[index] += delta.watch_ms
    if len(hours) > spec.BUCKETS:
        del hours[0]
        _count_older(
            row,
            row.bucket_impressions.pop(0),
            row.bucket_clicks.pop(0),
            row.bucket_watches.pop(0),
            row.bucket_watch_ms.pop(0),
        )


def _count_older(row: VideoCounters, impressions: int, clicks: int, watches: int, watch_ms: int) -> None:
    row.older_impressions += impressions
    row.older_clicks += clicks
    row.older_watches += watches
    row.older_watch_ms += watch_ms
