"""Events for the stream tests, and an oracle of what the rows must be: whole histories, aggregated at the end.

The oracle knows nothing of the folds. It keeps the producer's own log, drops what must not count (a message sent twice,
a message more than seven days behind its row), and computes each feature from all that is left of a user or a video.
"""

import random
from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import Any

from watchnext.contracts.events import (
    CatalogEvent,
    Event,
    ImpressionEvent,
    ProfileEvent,
    SearchEvent,
    ServedEvent,
    ServedItem,
    WatchEvent,
)
from watchnext.contracts.names import Topic, View

DAY = 86_400_000
HOUR = 3_600_000
USERS, VIDEOS = 400, 300
WORDS = ("cats", "dogs", "piano", "chess", "rain", "bread")

Log = list[tuple[Topic, Event]]


def catalog() -> Iterator[tuple[Topic, CatalogEvent]]:
    """Some videos without channel or topics; some published twice."""
    for number in [*range(VIDEOS), *range(0, VIDEOS, 10)]:
        yield (
            Topic.CATALOG,
            CatalogEvent(
                video_id=f"v{number}",
                channel_id=f"c{number % 40}" if number % 17 else "",
                topics=[f"t{number % 9}", f"t{number % 4}"] if number % 13 else [],
                uploaded_at=1_000_000 + number,
                video_seconds=60 + number,
                title=f"Video {number}",
            ),
        )


def happenings(seed: int, count: int, start: int) -> Iterator[tuple[Topic, Event]]:
    """`count` user events over 20 days: repeated, out of order, late, of unknown videos and times now and then."""
    draw = random.Random(seed)
    recent: list[tuple[Topic, Event]] = []
    for number in range(count):
        if recent and draw.random() < 0.02:
            yield draw.choice(recent[-20:])  # sent twice
            continue
        at = start + number * (20 * DAY // count)
        if draw.random() < 0.03:
            at -= draw.randrange(2 * DAY)  # out of order
        if draw.random() < 0.005:
            at -= 8 * DAY + draw.randrange(DAY)  # too late, unless it is the user's first
        user = f"u{draw.randrange(USERS)}"
        video = f"v{int(draw.random() ** 2 * (VIDEOS + 20))}"
        event = _event(draw, number, at // 1000 * 1000, user, video)
        recent.append(event)
        yield event


def _event(draw: random.Random, number: int, at: int, user: str, video: str) -> tuple[Topic, Event]:
    kind = draw.random()
    if kind < 0.45:
        return Topic.IMPRESSION, ImpressionEvent(
            event_id=f"e{number}",
            request_id=f"r{number}",
            user_id=user,
            video_id=video,
            position=0,
            shown_at=at,
            surface=_surface(number),
        )
    if kind < 0.88:
        return Topic.WATCH, WatchEvent(
            event_id=f"e{number}",
            user_id=user,
            video_id=video,
            started_at=at,
            watch_seconds=draw.randrange(480) / 4,  # exact in binary: sums do not depend on their order
            video_seconds=64,
            completed=draw.random() < 0.5,
            surface=_surface(number),
            request_id=f"r{number}" if draw.random() < 0.5 else None,
        )
    if kind < 0.96:
        words = [draw.choice(WORDS) for _ in range(draw.randrange(1, 4))]
        return Topic.SEARCH, SearchEvent(
            event_id=f"e{number}", user_id=user, query=" ".join(words).title(), searched_at=at
        )
    if kind < 0.98:
        items = [ServedItem(video_id=f"v{draw.randrange(30)}", position=slot, sources=["tower"]) for slot in range(5)]
        return Topic.SERVED, ServedEvent(request_id=f"s{number}", user_id=user, served_at=at, items=items)
    return Topic.PROFILE, ProfileEvent(user_id=user, age=draw.randrange(18, 80), country="NL", updated_at=at)


def _surface(number: int) -> str:
    return "derived-history" if number % 19 == 0 else "home"


def counted(log: Log) -> dict[tuple[Topic, str], list[tuple[Any, int]]]:
    """By topic and user: the events that count, each with the row's timestamp after it, in the order of the log."""
    histories: dict[tuple[Topic, str], list[tuple[Any, int]]] = defaultdict(list)
    known: set[tuple[Topic, str]] = set()
    for topic, event in log:
        if topic is Topic.CATALOG:
            continue
        history = histories[topic, event.key]
        stamp = history[-1][1] if history else 0
        if topic is not Topic.PROFILE:
            identity = (topic, event.event_id)  # type: ignore[attr-defined]
            if identity in known or event.at_ms * 1000 < stamp - 7 * DAY * 1000:
                continue
            known.add(identity)
        history.append((event, max(event.at_ms * 1000, stamp + 1)))
    return histories


def expected_rows(log: Log) -> dict[tuple[View, str], dict[str, Any]]:
    """The features of every user and video; positions and bookkeeping are left to other checks."""
    videos = {event.video_id: event for topic, event in log if isinstance(event, CatalogEvent)}
    rows: dict[tuple[View, str], dict[str, Any]] = {}
    counters: dict[str, Counter[tuple[str, int | None]]] = defaultdict(Counter)
    for (topic, user), history in counted(log).items():
        events = [event for event, _ in history]
        stamp = history[-1][1]
        match topic:
            case Topic.WATCH:
                rows[View.USER_WATCHES, user] = {"event_timestamp": stamp, **_watches(events, videos)}
            case Topic.SEARCH:
                rows[View.USER_SEARCHES, user] = {"event_timestamp": stamp, **_searches(events)}
            case Topic.IMPRESSION:
                pairs = [(event.video_id, _known_time(event)) for event in events]
                rows[View.USER_IMPRESSIONS, user] = {
                    "event_timestamp": stamp,
                    **_tally(pairs, "impression_video_ids", "impression_counts", "impression_last"),
                    "impressions": len(events),
                }
            case Topic.SERVED:
                shown = [(video, event.served_at) for event in events for video in {i.video_id for i in event.items}]
                rows[View.USER_SERVINGS, user] = {
                    "event_timestamp": stamp,
                    **_tally(shown, "serving_video_ids", "serving_counts", "serving_last"),
                    "servings": len(events),
                }
            case Topic.PROFILE:
                last = events[-1]
                rows[View.USER_PROFILE, user] = {"event_timestamp": stamp, "age": last.age, "country": last.country}
        for event in events:
            _count(counters, topic, event)
    for video, counts in counters.items():
        rows[View.VIDEO_COUNTERS, video] = _buckets(counts)
    for video, event in videos.items():
        rows[View.VIDEO_CATALOG, video] = {
            "title": event.title,
            "channel_id": event.channel_id,
            "topics": event.topics,
            "video_seconds": event.video_seconds,
        }
    return rows


def _watches(events: list[Any], videos: dict[str, CatalogEvent]) -> dict[str, Any]:
    by_time = sorted(events, key=lambda event: (_known_time(event), event.event_id))[-50:]
    known = [(videos[event.video_id], _known_time(event)) for event in events if event.video_id in videos]
    channels = [(video.channel_id, at) for video, at in known if video.channel_id]
    topics = [(topic, at) for video, at in known for topic in set(video.topics)]
    seen = dict.fromkeys(reversed([event.video_id for event in events]))
    return {
        "watch_video_ids": [event.video_id for event in by_time],
        "watch_seconds": [event.watch_seconds for event in by_time],
        "watch_fractions": [min(1.0, event.watch_seconds / 64) for event in by_time],
        "watch_times": [_known_time(event) for event in by_time],
        **_tally(channels, "channel_ids", "channel_watches", "channel_last"),
        **_tally(topics, "topic_names", "topic_watches", "topic_last"),
        "seen_ids": list(reversed(seen)),
        "watches": len(events),
        "completions": sum(event.completed and event.request_id is not None for event in events),
        "watch_seconds_total": sum(event.watch_seconds for event in events),
    }


def _known_time(event: WatchEvent | ImpressionEvent) -> int:
    """When the watch ended or the video was shown, or 0 where the surface says that its time was made up."""
    return 0 if event.surface == "derived-history" else event.at_ms


def _searches(events: list[Any]) -> dict[str, Any]:
    by_time = sorted(events, key=lambda event: (event.searched_at, event.event_id))
    tokens = []
    for event in by_time:
        words = event.query.lower().split()
        pairs = [f"{words[i]} {words[i + 1]}" for i in range(len(words) - 1)]
        tokens += [(token, event.searched_at) for token in words + pairs]
    return {
        "search_tokens": [token for token, _ in tokens[-50:]],
        "search_token_times": [at for _, at in tokens[-50:]],
        "last_query": by_time[-1].query,
        "last_query_at": by_time[-1].searched_at,
        "searches": len(events),
    }


def _tally(pairs: list[tuple[str, int]], names: str, counts: str, last: str) -> dict[str, Any]:
    """Complete as long as fewer than 100 names occur: the rows drop the oldest beyond that."""
    count = Counter(name for name, _ in pairs)
    latest: dict[str, int] = {}
    for name, at in pairs:
        latest[name] = max(at, latest.get(name, 0))
    order = sorted(latest, key=lambda name: (latest[name], name))
    assert len(order) <= 100, "the world outgrew its oracle: fewer events a user, please"
    return {names: order, counts: [count[name] for name in order], last: [latest[name] for name in order]}


def _count(counters: dict[str, Counter[tuple[str, int | None]]], topic: Topic, event: Any) -> None:
    made_up = topic in (Topic.WATCH, Topic.IMPRESSION) and event.surface == "derived-history"
    hour = None if made_up else event.at_ms // HOUR
    if topic is Topic.WATCH and not made_up:
        counters[event.video_id]["watches", hour] += 1
        counters[event.video_id]["watch_ms", hour] += int(event.watch_seconds * 1000)
    if topic is Topic.WATCH and not (made_up and event.request_id is None):
        counters[event.video_id]["clicks", hour] += event.request_id is not None
        counters[event.video_id]["completions", hour] += event.request_id is not None and event.completed
    if topic is Topic.IMPRESSION:
        counters[event.video_id]["impressions", hour] += 1


def _buckets(counts: Counter[tuple[str, int | None]]) -> dict[str, Any]:
    hours = sorted({hour for _, hour in counts if hour is not None})
    kept, older = hours[-24:], hours[:-24]
    row: dict[str, Any] = {"bucket_hours": kept}
    for kind in ("impressions", "clicks", "completions", "watches", "watch_ms"):
        row[f"bucket_{kind}"] = [counts[kind, hour] for hour in kept]
        row[f"older_{kind}"] = sum(counts[kind, hour] for hour in (*older, None))
    return row
