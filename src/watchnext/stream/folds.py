"""Pure folds: one event into one user's feature row. Rows are values: a fold makes a new one and shares what it kept.

A fold answers None where the event leaves the row alone: it is in the row already (offset), the producer sent it
twice (event id), or it is later than `late_ms` behind the newest event of its row. Nothing but the row, the event, its
position and the catalogue is looked at, so the rows do not depend on how the log was cut into batches.

>>> row = fold_event(None, SearchEvent(event_id="e", user_id="u", query="cats", searched_at=5), Position(0, 7), {}, 0)
>>> row.last_query, row.offset, row.event_timestamp
('cats', 7, 5000)
"""

from bisect import bisect_right
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple, TypeVar

from watchnext.contracts.events import (
    Event,
    ImpressionEvent,
    ProfileEvent,
    SearchEvent,
    ServedEvent,
    WatchEvent,
)
from watchnext.contracts.rows import (
    UNKNOWN_MS,
    FeatureRow,
    UserImpressions,
    UserProfile,
    UserRow,
    UserSearches,
    UserServings,
    UserWatches,
)
from watchnext.features import spec
from watchnext.features.tokens import tokenize

T = TypeVar("T")


class Position(NamedTuple):
    """Where a message stands within its topic."""

    partition: int
    offset: int


class VideoFacts(NamedTuple):
    """What a watch gathers from the catalogue."""

    channel_id: str
    topics: tuple[str, ...]


Catalog = Mapping[str, VideoFacts]


def fold_event(row: UserRow | None, event: Event, position: Position, catalog: Catalog, late_ms: int) -> UserRow | None:
    """`row` with `event` in it, or None if the event changes nothing.

    Args:
        row: the user's row of the event's view; None for a user without one.
        event: a user event of any topic.
        position: partition and offset of its message.
        catalog: channel and topics by video id; an unknown video has none.
        late_ms: how far behind the row's newest event an event may be.
    """
    if row is not None and _is_behind(row, event, position, late_ms):
        return None
    return _FOLDS[type(event)](row, event, position, catalog)


def timestamp(at_ms: int, previous: int) -> int:
    """Epoch microseconds of a row: the event's time, but always later than the row before (Feast drops equals)."""
    return max(at_ms * 1000, previous + 1)


def is_late(row: FeatureRow, event: Event, late_ms: int) -> bool:
    """Whether an event is more than `late_ms` behind the newest event of its row."""
    return event.at_ms * 1000 < row.event_timestamp - late_ms * 1000


def _is_behind(row: UserRow, event: Event, position: Position, late_ms: int) -> bool:
    if row.partition == position.partition and position.offset <= row.offset:
        return True
    if isinstance(event, ProfileEvent):
        return False
    if is_late(row, event, late_ms):
        return True
    return event.event_id in row.event_ids  # type: ignore[attr-defined]  # every other user event has one


def _watch(row: UserWatches | None, event: WatchEvent, position: Position, catalog: Catalog) -> UserWatches:
    row = row or UserWatches(entity_id=event.user_id)
    at = event.at_ms if event.timed else UNKNOWN_MS
    index = _place(row.watch_times, row.watch_event_ids, at, event.event_id)
    channels = _Tally(row.channel_ids, row.channel_watches, row.channel_last)
    topics = _Tally(row.topic_names, row.topic_watches, row.topic_last)
    facts = catalog.get(event.video_id)
    if facts is not None:
        channels = channels.add([facts.channel_id] if facts.channel_id else [], at, spec.AGGREGATES)
        topics = topics.add(facts.topics, at, spec.AGGREGATES)
    return UserWatches(
        entity_id=row.entity_id,
        event_timestamp=timestamp(event.at_ms, row.event_timestamp),
        partition=position.partition,
        offset=position.offset,
        event_ids=_appended(row.event_ids, event.event_id, spec.EVENT_IDS),
        watch_video_ids=_inserted(row.watch_video_ids, index, event.video_id, spec.HISTORY),
        watch_seconds=_inserted(row.watch_seconds, index, event.watch_seconds, spec.HISTORY),
        watch_fractions=_inserted(
            row.watch_fractions, index, min(1.0, event.watch_seconds / event.video_seconds), spec.HISTORY
        ),
        watch_times=_inserted(row.watch_times, index, at, spec.HISTORY),
        watch_event_ids=_inserted(row.watch_event_ids, index, event.event_id, spec.HISTORY),
        channel_ids=channels.names,
        channel_watches=channels.counts,
        channel_last=channels.last,
        topic_names=topics.names,
        topic_watches=topics.counts,
        topic_last=topics.last,
        seen_ids=_moved_to_end(row.seen_ids, event.video_id, spec.SEEN),
        watches=row.watches + 1,
        completions=row.completions + int(event.completed and event.request_id is not None),
        watch_seconds_total=row.watch_seconds_total + event.watch_seconds,
    )


def _search(row: UserSearches | None, event: SearchEvent, position: Position, _: Catalog) -> UserSearches:
    row = row or UserSearches(entity_id=event.user_id)
    at = event.searched_at
    index = _place(row.search_token_times, row.search_token_events, at, event.event_id)
    tokens = tokenize(event.query)
    newest = (at, event.event_id) > (row.last_query_at, row.last_query_event)
    return UserSearches(
        entity_id=row.entity_id,
        event_timestamp=timestamp(at, row.event_timestamp),
        partition=position.partition,
        offset=position.offset,
        event_ids=_appended(row.event_ids, event.event_id, spec.EVENT_IDS),
        search_tokens=_spliced(row.search_tokens, index, tokens),
        search_token_times=_spliced(row.search_token_times, index, [at] * len(tokens)),
        search_token_events=_spliced(row.search_token_events, index, [event.event_id] * len(tokens)),
        last_query=event.query if newest else row.last_query,
        last_query_at=at if newest else row.last_query_at,
        last_query_event=event.event_id if newest else row.last_query_event,
        searches=row.searches + 1,
    )


def _impression(row: UserImpressions | None, event: ImpressionEvent, position: Position, _: Catalog) -> UserImpressions:
    row = row or UserImpressions(entity_id=event.user_id)
    shown = _Tally(row.impression_video_ids, row.impression_counts, row.impression_last)
    shown = shown.add([event.video_id], event.shown_at if event.timed else UNKNOWN_MS, spec.EXPOSURES)
    return UserImpressions(
        entity_id=row.entity_id,
        event_timestamp=timestamp(event.shown_at, row.event_timestamp),
        partition=position.partition,
        offset=position.offset,
        event_ids=_appended(row.event_ids, event.event_id, spec.EVENT_IDS),
        impression_video_ids=shown.names,
        impression_counts=shown.counts,
        impression_last=shown.last,
        impressions=row.impressions + 1,
    )


def _served(row: UserServings | None, event: ServedEvent, position: Position, _: Catalog) -> UserServings:
    row = row or UserServings(entity_id=event.user_id)
    videos = dict.fromkeys(item.video_id for item in sorted(event.items, key=lambda item: item.position))
    served = _Tally(row.serving_video_ids, row.serving_counts, row.serving_last)
    served = served.add(list(videos)[: spec.EXPOSURES], event.served_at, spec.EXPOSURES)
    return UserServings(
        entity_id=row.entity_id,
        event_timestamp=timestamp(event.served_at, row.event_timestamp),
        partition=position.partition,
        offset=position.offset,
        event_ids=_appended(row.event_ids, event.event_id, spec.EVENT_IDS),
        serving_video_ids=served.names,
        serving_counts=served.counts,
        serving_last=served.last,
        servings=row.servings + 1,
    )


def _profile(row: UserProfile | None, event: ProfileEvent, position: Position, _: Catalog) -> UserProfile:
    return UserProfile(
        entity_id=event.user_id,
        event_timestamp=timestamp(event.updated_at, row.event_timestamp if row else 0),
        partition=position.partition,
        offset=position.offset,
        birth_year=event.birth_year or 0,
        age=-1.0 if event.age is None else event.age,
        gender=event.gender,
        country=event.country,
        device=event.device,
        logged_in=event.logged_in,
    )


_FOLDS: Final[dict[type[Event], Callable[[Any, Any, Position, Catalog], UserRow]]] = {
    WatchEvent: _watch,
    SearchEvent: _search,
    ImpressionEvent: _impression,
    ServedEvent: _served,
    ProfileEvent: _profile,
}


class _Tally(NamedTuple):
    """Names with a count and the last time, ordered by (last time, name)."""

    names: list[str]
    counts: list[int]
    last: list[int]

    def add(self, names: "list[str] | tuple[str, ...]", at: int, keep: int) -> "_Tally":
        """Count each of `names` once more at time `at`, and keep those `keep` that came last."""
        if not names:
            return self
        tally = _Tally(self.names.copy(), self.counts.copy(), self.last.copy())
        for name in dict.fromkeys(names):
            count, last = 1, at
            if name in tally.names:
                index = tally.names.index(name)
                del tally.names[index]
                count += tally.counts.pop(index)
                last = max(at, tally.last.pop(index))
            index = _place(tally.last, tally.names, last, name)
            tally.names.insert(index, name)
            tally.counts.insert(index, count)
            tally.last.insert(index, last)
        return _Tally(tally.names[-keep:], tally.counts[-keep:], tally.last[-keep:])


def _place(times: list[int], ids: list[str], at: int, id_: str) -> int:
    """Where (at, id) belongs in lists sorted by (time, id); nearly always at the end."""
    if not times or (at, id_) >= (times[-1], ids[-1]):
        return len(times)
    return bisect_right(list(zip(times, ids, strict=True)), (at, id_))


def _inserted(values: list[T], index: int, value: T, keep: int) -> list[T]:
    longer = values.copy()
    longer.insert(index, value)
    return longer if len(longer) <= keep else longer[-keep:]


def _spliced(values: list[T], index: int, more: list[T]) -> list[T]:
    return [*values[:index], *more, *values[index:]][-spec.HISTORY :]


def _appended(values: list[str], value: str, keep: int) -> list[str]:
    return [*values[-keep + 1 :], value]


def _moved_to_end(values: list[str], value: str, keep: int) -> list[str]:
    moved = values.copy()
    if value in moved:
        moved.remove(value)
    moved.append(value)
    return moved if len(moved) <= keep else moved[-keep:]
