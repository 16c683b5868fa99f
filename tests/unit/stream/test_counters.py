import random

import pytest

from watchnext.contracts.events import CatalogEvent, Event, ImpressionEvent, ProfileEvent, VideoDelta, WatchEvent
from watchnext.contracts.rows import VideoCatalog, VideoCounters
from watchnext.stream.counters import delta_of, fold_catalog, fold_delta
from watchnext.stream.folds import Position


def delta(
    offset: int, hour: int | None, *, origin: str = "watch-events", partition: int = 0, **counts: int
) -> VideoDelta:
    return VideoDelta(
        video_id="v",
        topic=origin,
        partition=partition,
        offset=offset,
        hour=hour,
        available_at=(hour or 0) * 3_600_000,
        **(counts or {"watches": 1}),
    )


def folded(*deltas: VideoDelta) -> VideoCounters:
    row: VideoCounters | None = None
    for offset, one in enumerate(deltas):
        row = fold_delta(row, one, Position(1, offset)) or row
    assert row is not None
    return row


def watch(request: str | None, surface: str = "") -> WatchEvent:
    return WatchEvent(
        event_id="e",
        user_id="u",
        video_id="v",
        started_at=3_599_000,
        watch_seconds=1.5,
        video_seconds=9,
        completed=True,
        surface=surface,
        request_id=request,
    )


@pytest.mark.parametrize(
    ("event", "wanted"),
    [
        (
            watch("r"),
            {"hour": 1, "available_at": 3_600_500, "clicks": 1, "completions": 1, "watches": 1, "watch_ms": 1_500},
        ),
        (watch(None), {"hour": 1, "available_at": 3_600_500, "clicks": 0, "watches": 1, "watch_ms": 1_500}),
        (
            ImpressionEvent(event_id="e", request_id="r", user_id="u", video_id="v", position=0, shown_at=3_599_999),
            {"hour": 0, "available_at": 3_599_999, "impressions": 1},
        ),
        (
            watch("r", surface="derived-history"),
            {"hour": None, "available_at": 3_600_500, "clicks": 1, "completions": 1},
        ),
        (
            ImpressionEvent(
                event_id="e",
                request_id="r",
                user_id="u",
                video_id="v",
                position=0,
                shown_at=3_599_999,
                surface="derived-history",
            ),
            {"hour": None, "available_at": 3_599_999, "impressions": 1},
        ),
    ],
)
def test_what_an_event_adds_to_its_video(event: Event, wanted: dict[str, int | None]) -> None:
    counted = delta_of(event, Position(3, 17))
    topic = "watch-events" if isinstance(event, WatchEvent) else "impression-events"
    assert counted == VideoDelta(video_id="v", topic=topic, partition=3, offset=17, **wanted)  # type: ignore[arg-type]


def test_other_events_count_nothing() -> None:
    assert delta_of(ProfileEvent(user_id="u"), Position(0, 0)) is None


def test_a_watch_of_unknown_time_outside_of_lists_counts_nothing() -> None:
    assert delta_of(watch(None, surface="derived-history"), Position(0, 0)) is None


def test_what_has_no_hour_counts_among_the_older_ones() -> None:
    row = folded(delta(1, None, impressions=1, completions=1), delta(2, 10, impressions=2), delta(3, None, clicks=1))
    assert (row.bucket_hours, row.bucket_impressions, row.bucket_completions) == ([10], [2], [0])
    assert (row.older_impressions, row.older_clicks, row.older_completions) == (1, 1, 1)
    assert row.event_timestamp == 10 * 3_600_000_000 + 1


def test_counts_of_two_hours_and_origins() -> None:
    row = folded(
        delta(5, 10, clicks=1, completions=1, watches=1, watch_ms=700),
        delta(2, 11, origin="impression-events", partition=3, impressions=1),
        delta(6, 10, watches=1, watch_ms=300),
    )
    assert row == VideoCounters(
        entity_id="v",
        event_timestamp=11 * 3_600_000_000 + 1,
        partition=1,
        offset=2,
        origins=["impression-events/3", "watch-events/0"],
        origin_offsets=[2, 6],
        bucket_hours=[10, 11],
        bucket_impressions=[0, 1],
        bucket_clicks=[1, 0],
        bucket_completions=[1, 0],
        bucket_watches=[2, 0],
        bucket_watch_ms=[1_000, 0],
    )


def test_a_delta_that_is_sent_again_is_not_counted_again() -> None:
    row = folded(delta(5, 10), delta(6, 10))
    assert fold_delta(row, delta(5, 10), Position(1, 9)) is None
    assert fold_delta(row, delta(6, 10), Position(1, 10)) is None
    again = fold_delta(row, delta(6, 10, partition=1), Position(1, 11))
    assert again is not None
    assert again.bucket_watches == [3]


def test_hours_beyond_the_newest_24_fall_into_the_totals() -> None:
    row = folded(*(delta(hour, hour, impressions=2, watches=1, watch_ms=10) for hour in range(30)))
    assert row.bucket_hours == list(range(6, 30))
    assert (row.older_impressions, row.older_clicks, row.older_watches, row.older_watch_ms) == (12, 0, 6, 60)


def test_an_hour_before_the_buckets_goes_to_the_totals_at_once() -> None:
    row = folded(*(delta(hour, hour) for hour in range(100, 124)), delta(124, 50), delta(125, 110))
    assert row.bucket_hours == list(range(100, 124))
    assert row.older_watches == 1
    assert row.bucket_watches[10] == 2


def test_counts_do_not_depend_on_the_order_of_arrival() -> None:
    draw = random.Random(1)
    hours = [draw.randrange(60) for _ in range(300)]
    rows = []
    for _ in range(5):
        draw.shuffle(hours)
        row = folded(*(delta(offset, hour) for offset, hour in enumerate(hours)))
        rows.append((row.bucket_hours, row.bucket_watches, row.older_watches))
    assert all(one == rows[0] for one in rows)
    assert rows[0][0] == sorted(set(hours))[-24:]
    assert sum(rows[0][1]) + rows[0][2] == 300


def test_the_last_catalogue_message_wins_and_is_taken_once() -> None:
    first = CatalogEvent(video_id="v", channel_id="c", topics=["a"], uploaded_at=7, video_seconds=3, title="Old")
    last = CatalogEvent(video_id="v", channel_id="c", topics=["b"], uploaded_at=7, video_seconds=3, title="New")
    row = fold_catalog(fold_catalog(None, first, Position(0, 4)), last, Position(0, 5))
    assert row == VideoCatalog(
        entity_id="v",
        event_timestamp=7_001,
        partition=0,
        offset=5,
        channel_id="c",
        topics=["b"],
        uploaded_at=7,
        video_seconds=3,
        title="New",
    )
    assert fold_catalog(row, first, Position(0, 5)) is None
