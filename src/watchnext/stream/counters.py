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
from watchnext.features.videos import COUNTED
from watchnext.stream.folds import Position, timestamp


def delta_of(event: Event, position: Position) -> VideoDelta | None:
    """What a user event adds to its video's counters; None for events that count nothing.

    A watch of unknown time has unknown seconds too: where it came out of a list it tells what became of an impression,
    else it counts nothing.
    """
    if isinstance(event, WatchEvent):
        clicked = event.request_id is not None
        if not event.timed and not clicked:
            return None
        counts = {
            "clicks": int(clicked),
            "completions": int(clicked and event.completed),
            "watches": int(event.timed),
            "watch_ms": round(event.watch_seconds * 1000) if event.timed else 0,
        }
        topic = Topic.WATCH
    elif isinstance(event, ImpressionEvent):
        counts, topic = {"impressions": 1}, Topic.IMPRESSION
    else:
        return None
    return VideoDelta(
        video_id=event.video_id,
        topic=topic.value,
        partition=position.partition,
        offset=position.offset,
        hour=event.at_ms // HOUR_MS if event.timed else None,
        available_at=event.at_ms,
        **counts,
    )


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
        bucket_completions=row.bucket_completions.copy(),
        bucket_watches=row.bucket_watches.copy(),
        bucket_watch_ms=row.bucket_watch_ms.copy(),
        older_impressions=row.older_impressions,
        older_clicks=row.older_clicks,
        older_completions=row.older_completions,
        older_watches=row.older_watches,
        older_watch_ms=row.older_watch_ms,
    )
    _count(counted, delta.hour, [getattr(delta, name) for name in COUNTED])
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


def _count(row: VideoCounters, hour: int | None, counts: list[int]) -> None:
    """Add the `COUNTED` of an hour to the lists of `row`, in place; None: of no known hour.

    The result depends neither on the order of the calls nor on how an hour's counts are spread over them.
    """
    if hour is None:
        _count_older(row, counts)
        return
    hours = row.bucket_hours
    buckets: list[list[int]] = [getattr(row, f"bucket_{name}") for name in COUNTED]
    index = bisect_left(hours, hour)
    if index == len(hours) or hours[index] != hour:
        if index == 0 and len(hours) == spec.BUCKETS:
            _count_older(row, counts)
            return
        hours.insert(index, hour)
        for bucket in buckets:
            bucket.insert(index, 0)
    for bucket, more in zip(buckets, counts, strict=True):
        bucket[index] += more
    if len(hours) > spec.BUCKETS:
        del hours[0]
        _count_older(row, [bucket.pop(0) for bucket in buckets])


def _count_older(row: VideoCounters, counts: list[int]) -> None:
    for name, more in zip(COUNTED, counts, strict=True):
        setattr(row, f"older_{name}", getattr(row, f"older_{name}") + more)
