"""Literal events, rows written by hand."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchnext.contracts.events import ImpressionEvent, ProfileEvent, SearchEvent, ServedEvent, ServedItem, WatchEvent
from watchnext.contracts.rows import UserImpressions, UserProfile, UserRow, UserSearches, UserServings, UserWatches
from watchnext.stream.folds import Position, VideoFacts, fold_event

WEEK = 7 * 86_400_000
CATALOG = {"v1": VideoFacts("c1", ("t1", "t2")), "v2": VideoFacts("c2", ("t1", "t1")), "v3": VideoFacts("", ())}


def watch(event_id: str, video: str, end_ms: int, seconds: float = 10, surface: str = "") -> WatchEvent:
    return WatchEvent(
        event_id=event_id,
        user_id="u",
        video_id=video,
        started_at=end_ms - round(seconds * 1000),
        watch_seconds=seconds,
        video_seconds=20,
        completed=False,
        surface=surface,
    )


def folded(*events: Any, late: int = WEEK) -> UserRow:
    row: UserRow | None = None
    for offset, event in enumerate(events):
        row = fold_event(row, event, Position(2, offset), CATALOG, late) or row
    assert row is not None
    return row


def test_a_first_watch() -> None:
    assert folded(watch("e1", "v1", 100_000, 30)) == UserWatches(
        entity_id="u",
        event_timestamp=100_000_000,
        partition=2,
        offset=0,
        event_ids=["e1"],
        watch_video_ids=["v1"],
        watch_seconds=[30.0],
        watch_fractions=[1.0],  # 30 s of 20 s: watched again, capped
        watch_times=[100_000],
        watch_event_ids=["e1"],
        channel_ids=["c1"],
        channel_watches=[1],
        channel_last=[100_000],
        topic_names=["t1", "t2"],
        topic_watches=[1, 1],
        topic_last=[100_000, 100_000],
        seen_ids=["v1"],
        watches=1,
        watch_seconds_total=30.0,
    )


def test_a_watch_that_comes_out_of_order_goes_to_its_place() -> None:
    row = folded(watch("e1", "v1", 50_000), watch("e2", "v2", 90_000), watch("e3", "v1", 70_000))
    assert isinstance(row, UserWatches)
    assert row.watch_event_ids == ["e1", "e3", "e2"]
    assert row.watch_times == [50_000, 70_000, 90_000]
    assert row.watch_video_ids == ["v1", "v1", "v2"]
    assert (row.channel_ids, row.channel_watches, row.channel_last) == (["c1", "c2"], [2, 1], [70_000, 90_000])
    assert (row.topic_names, row.topic_watches, row.topic_last) == (["t2", "t1"], [2, 3], [70_000, 90_000])
    assert row.seen_ids == ["v2", "v1"]  # in order of arrival
    assert row.event_timestamp == 90_000_001  # later than the row before, though the event is older


def test_watches_at_one_instant_are_ordered_by_event_id() -> None:
    row = folded(watch("b", "v1", 50_000), watch("a", "v2", 50_000))
    assert isinstance(row, UserWatches)
    assert row.watch_event_ids == ["a", "b"]
    assert row.event_timestamp == 50_000_001


def test_an_unknown_video_is_watched_without_channel_and_topics() -> None:
    row = folded(watch("e1", "nobody-knows", 50_000))
    assert isinstance(row, UserWatches)
    assert (row.watch_video_ids, row.channel_ids, row.topic_names) == (["nobody-knows"], [], [])


def test_a_watch_of_unknown_time_is_history_and_moves_no_time() -> None:
    row = folded(
        watch("h1", "v1", 60_000, surface="derived-history"),
        watch("e1", "v2", 90_000),
        watch("h0", "v2", 95_000, surface="derived-history"),
    )
    assert isinstance(row, UserWatches)
    assert (row.watch_event_ids, row.watch_times) == (["h0", "h1", "e1"], [0, 0, 90_000])
    assert row.watch_video_ids == ["v2", "v1", "v2"]
    assert (row.channel_ids, row.channel_watches, row.channel_last) == (["c1", "c2"], [1, 2], [0, 90_000])
    assert (row.topic_names, row.topic_watches, row.topic_last) == (["t2", "t1"], [1, 3], [0, 90_000])
    assert (row.seen_ids, row.watches, row.watch_seconds_total) == (["v1", "v2"], 3, 30.0)
    assert row.event_timestamp == 95_000_000  # from then on the row may be read


def test_completed_watches_count_where_they_came_out_of_a_list() -> None:
    free, listed = watch("e1", "v1", 60_000), msgspec.structs.replace(watch("e2", "v1", 70_000), request_id="r")
    done = [msgspec.structs.replace(event, completed=True) for event in (free, listed)]
    row = folded(listed, done[0], msgspec.structs.replace(done[1], event_id="e3"))
    assert isinstance(row, UserWatches)
    assert (row.watches, row.completions) == (3, 1)


def test_an_impression_of_unknown_time_is_counted_and_moves_no_time() -> None:
    def shown(event_id: str, video: str, at_ms: int, surface: str = "home") -> ImpressionEvent:
        return ImpressionEvent(
            event_id=event_id, request_id="r", user_id="u", video_id=video, position=0, shown_at=at_ms, surface=surface
        )

    row = folded(
        shown("e1", "v2", 90_000),
        shown("h1", "v1", 95_000, "derived-history"),
        shown("h2", "v2", 96_000, "derived-history"),
    )
    assert isinstance(row, UserImpressions)
    assert (row.impression_video_ids, row.impression_counts) == (["v1", "v2"], [1, 2])
    assert (row.impression_last, row.impressions) == ([0, 90_000], 3)
    assert row.event_timestamp == 96_000_000  # from then on the row may be read


def test_only_the_last_fifty_watches_stay() -> None:
    row = folded(*(watch(f"e{number:02}", "v1", 1_000_000 + number) for number in range(60)))
    assert isinstance(row, UserWatches)
    assert row.watch_event_ids == [f"e{number:02}" for number in range(10, 60)]
    assert (row.watches, row.channel_watches) == (60, [60])


def test_a_watch_older_than_a_full_history_counts_but_is_not_in_it() -> None:
    newer = [watch(f"e{number:02}", "v1", 1_000_000 + number) for number in range(50)]
    row = folded(*newer, watch("old", "v2", 900_000))
    assert isinstance(row, UserWatches)
    assert "old" not in row.watch_event_ids
    assert (len(row.watch_times), row.watches, row.seen_ids) == (50, 51, ["v1", "v2"])


def test_seen_keeps_a_thousand_videos() -> None:
    row = folded(*(watch(f"e{number}", f"x{number}", 1_000_000 + number) for number in range(1_005)))
    assert isinstance(row, UserWatches)
    assert (len(row.seen_ids), row.seen_ids[0], row.seen_ids[-1]) == (1_000, "x5", "x1004")
    assert (len(row.event_ids), row.event_ids[0]) == (256, "e749")


@pytest.mark.parametrize(
    ("event", "position", "why"),
    [
        (watch("e9", "v1", WEEK + 95_000), Position(2, 5), "its offset is in the row"),
        (watch("e1", "v1", WEEK + 95_000), Position(2, 6), "its id is in the row"),
        (watch("e9", "v1", 99_999), Position(2, 6), "it is over a week behind the row"),
    ],
)
def test_an_event_that_must_not_count_changes_nothing(event: WatchEvent, position: Position, why: str) -> None:
    row = UserWatches(
        entity_id="u", partition=2, offset=5, event_ids=["e1"], event_timestamp=(WEEK + 100_000) * 1000, watches=1
    )
    assert fold_event(row, event, position, CATALOG, WEEK) is None, why


def test_an_event_a_week_behind_still_counts() -> None:
    row = UserWatches(entity_id="u", partition=2, offset=5, event_timestamp=(WEEK + 100_000) * 1000)
    assert fold_event(row, watch("e9", "v1", 100_000), Position(2, 6), CATALOG, WEEK) is not None


def test_offsets_of_another_partition_say_nothing() -> None:
    row = UserWatches(entity_id="u", partition=1, offset=500, event_timestamp=1)
    assert fold_event(row, watch("e9", "v1", 100_000), Position(2, 6), CATALOG, WEEK) is not None


def search(event_id: str, query: str, at: int) -> SearchEvent:
    return SearchEvent(event_id=event_id, user_id="u", query=query, searched_at=at)


def test_search_tokens_go_to_the_place_of_their_search() -> None:
    assert folded(
        search("e1", "Funny CATS", 100), search("e2", "dogs", 300), search("e3", "rain", 200)
    ) == UserSearches(
        entity_id="u",
        event_timestamp=300_001,
        partition=2,
        offset=2,
        event_ids=["e1", "e2", "e3"],
        search_tokens=["funny", "cats", "funny cats", "rain", "dogs"],
        search_token_times=[100, 100, 100, 200, 300],
        search_token_events=["e1", "e1", "e1", "e3", "e2"],
        last_query="dogs",
        last_query_at=300,
        last_query_event="e2",
        searches=3,
    )


def test_a_query_without_a_word_is_still_the_last_query() -> None:
    row = folded(search("e1", "cats", 100), search("e2", "!!!", 200))
    assert isinstance(row, UserSearches)
    assert (row.search_tokens, row.last_query, row.searches) == (["cats"], "!!!", 2)


def test_impressions_are_counted_a_video() -> None:
    shown = [("e1", "v1", 100), ("e2", "v2", 300), ("e3", "v1", 200)]
    events = [
        ImpressionEvent(event_id=event_id, request_id="r", user_id="u", video_id=video, position=0, shown_at=at)
        for event_id, video, at in shown
    ]
    assert folded(*events) == UserImpressions(
        entity_id="u",
        event_timestamp=300_001,
        partition=2,
        offset=2,
        event_ids=["e1", "e2", "e3"],
        impression_video_ids=["v1", "v2"],
        impression_counts=[2, 1],
        impression_last=[200, 300],
        impressions=3,
    )


def served(request: str, at: int, *videos: str) -> ServedEvent:
    items = [ServedItem(video_id=video, position=slot, sources=[]) for slot, video in enumerate(videos)]
    return ServedEvent(request_id=request, user_id="u", served_at=at, items=items)


def test_servings_count_a_video_once_a_list() -> None:
    assert folded(served("r1", 100, "v1", "v2", "v1"), served("r2", 200, "v2")) == UserServings(
        entity_id="u",
        event_timestamp=200_000,
        partition=2,
        offset=1,
        event_ids=["r1", "r2"],
        serving_video_ids=["v1", "v2"],
        serving_counts=[1, 2],
        serving_last=[100, 200],
        servings=2,
    )


def test_of_a_long_list_the_top_hundred_are_kept() -> None:
    row = folded(served("r1", 100, *(f"v{slot}" for slot in range(300))))
    assert isinstance(row, UserServings)
    assert set(row.serving_video_ids) == {f"v{slot}" for slot in range(100)}


def test_the_last_profile_wins_whatever_its_time() -> None:
    first = ProfileEvent(user_id="u", age=30, gender="f", updated_at=500)
    last = ProfileEvent(user_id="u", birth_year=1990, country="NL", logged_in=False)
    assert folded(first, last) == UserProfile(
        entity_id="u",
        event_timestamp=500_001,
        partition=2,
        offset=1,
        birth_year=1990,
        age=-1.0,
        country="NL",
        logged_in=False,
    )


@given(st.lists(st.integers(min_value=1, max_value=40), min_size=1, max_size=80))
def test_histories_stay_sorted_and_timestamps_grow(minutes: list[int]) -> None:
    row: UserRow | None = None
    previous = 0
    for number, minute in enumerate(minutes):
        row = fold_event(row, watch(f"e{number}", "v1", minute * 60_000), Position(0, number), CATALOG, WEEK)
        assert isinstance(row, UserWatches)
        assert row.event_timestamp > previous
        previous = row.event_timestamp
    assert isinstance(row, UserWatches)
    keys = [(minute * 60_000, f"e{number}") for number, minute in enumerate(minutes)]
    assert list(zip(row.watch_times, row.watch_event_ids, strict=True)) == sorted(keys)[-50:]


def test_a_fold_leaves_the_row_before_as_it_was() -> None:
    before = folded(watch("e1", "v1", 100_000))
    again = folded(watch("e1", "v1", 100_000))
    fold_event(before, watch("e2", "v2", 50_000), Position(2, 1), CATALOG, WEEK)
    assert before == again
