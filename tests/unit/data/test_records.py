from watchnext.contracts.events import ImpressionEvent, SearchEvent, WatchEvent
from watchnext.contracts.names import Topic
from watchnext.data.records import fraction_of, in_time_order, keep_users


def test_streams_merge_by_the_time_of_availability_and_ties_keep_the_order_of_the_arguments():
    shown = ImpressionEvent(event_id="i", request_id="r", user_id="u", video_id="v", position=0, shown_at=10_000)
    watch = WatchEvent(
        event_id="w", user_id="u", video_id="v", started_at=4_000, watch_seconds=6, video_seconds=9, completed=False
    )
    search = SearchEvent(event_id="s", user_id="u", query="q", searched_at=9_999)
    merged = in_time_order([(Topic.IMPRESSION, shown)], [(Topic.WATCH, watch)], [(Topic.SEARCH, search)])

    assert [event for _, event in merged] == [search, shown, watch]


def test_fractions_are_even_and_do_not_confuse_their_parts():
    fractions = [fraction_of("x", number) for number in range(4_000)]

    assert abs(sum(fractions) / 4_000 - 0.5) < 0.02
    assert 0 <= min(fractions) < 0.01
    assert 0.99 < max(fractions) < 1
    assert fraction_of("a", "bc") != fraction_of("ab", "c")


def test_a_larger_sample_of_users_contains_the_smaller():
    ids = [str(number) for number in range(100)]

    assert keep_users(ids, 10) < keep_users(ids[::-1], 20)
    assert len(keep_users(ids, 20)) == 20
    assert keep_users(ids, 0) == keep_users(ids, 1_000) == set(ids)
