import msgspec
import numpy as np
import pytest

from tests.unit.features.world import DAY, NOW, VOCABULARIES, video_table
from watchnext.contracts.events import WatchEvent
from watchnext.contracts.names import DERIVED_SURFACE, Source
from watchnext.features import spec
from watchnext.features.codec import pack, unpack
from watchnext.features.cross import RANKER_FEATURES, cross_features, cross_features_of_many
from watchnext.features.state import EncodedUser, RequestContext, UserState, encode_user
from watchnext.stream.folds import Position, VideoFacts, fold_event

FILM, SONG, NEWS = 0, 1, 2
ROW = {
    "watch_video_ids": ["film", "song", "film", "gone"],
    "watch_seconds": [10.0, 20.0, 60.0, 30.0],
    "watch_fractions": [0.1, 0.2, 0.6, 0.3],
    "watch_times": [NOW - 4 * DAY, NOW - 3 * DAY, NOW - 2 * DAY, NOW - DAY],
    "channel_ids": ["radio", "elsewhere", "studio"],
    "channel_watches": [1, 9, 2],
    "channel_last": [NOW - 3 * DAY, NOW - DAY, NOW - 2 * DAY],
    "topic_names": ["music", "drama"],
    "topic_watches": [3, 2],
    "topic_last": [NOW - 3 * DAY, NOW - 2 * DAY],
    "impression_video_ids": ["gone", "news", "film"],
    "impression_counts": [8, 5, 2],
    "impression_last": [NOW - DAY, NOW - DAY // 4, NOW - DAY // 2],
    "serving_video_ids": ["film"],
    "serving_counts": [6],
    "serving_last": [NOW + DAY],  # a clock ahead of ours
    "watches": 40,
    "completions": 14,
    "impressions": 60,
    "last_query_at": NOW - DAY,
    "age": 30.0,
}


def features(row=ROW, scores=(0.5, -1.0, 0.0), sources=(9, 2, 0)):
    user = encode_user(UserState.from_rows(row), RequestContext(now_ms=NOW), VOCABULARIES)
    candidates = video_table().take(np.array([1, 2, 3]))
    values = cross_features(user, candidates, np.array(scores, np.float32), np.array(sources, np.int32))
    return dict(zip(RANKER_FEATURES, values.T, strict=True))


@pytest.mark.parametrize(
    ("name", "film_song_news"),
    [
        ("retrieval_score", [0.5, -1.0, 0.0]),
        ("from_tower", [1, 0, 0]),
        ("from_similar", [0, 1, 0]),
        ("from_channels", [0, 0, 0]),
        ("from_trending", [1, 0, 0]),
        ("watches_of_video", [2, 1, 0]),
        ("days_since_video_watch", [2, 3, spec.NEVER_DAYS]),
        ("impressions_of_video", [2, 0, 5]),
        ("days_since_impression", [0.5, spec.NEVER_DAYS, 0.25]),
        ("servings_of_video", [6, 0, 0]),
        ("days_since_serving", [0, spec.NEVER_DAYS, spec.NEVER_DAYS]),
        ("watches_of_channel", [2, 1, 0]),  # the channel of news is unknown: it matches no unknown channel of the user
        ("days_since_channel", [2, 3, spec.NEVER_DAYS]),
        ("watches_of_topics", [5, 3, 0]),  # film: drama 2 + music 3
        ("days_since_topic", [2, 3, spec.NEVER_DAYS]),
        ("days_since_upload", [10, 10, 0.5]),
        ("video_seconds", [100, 100, 100]),
        ("video_impressions", [9, 0, 0]),
        ("video_clicks", [1, 0, 0]),
        ("video_completions", [1, 0, 0]),  # half of 1, half of 1 older one
        ("video_watches", [3, 0, 0]),
        ("video_click_rate", [(1 + 5 * 0.3) / (9 + 5), 0.3, 0.3]),
        ("video_completion_rate", [(1 + 5 * 0.2) / (9 + 5), 0.2, 0.2]),
        ("video_mean_seconds", [(60 + 5 * 40) / (3 + 5), 40, 40]),
        ("video_mean_fraction", [(60 + 5 * 40) / (3 + 5) / 100, 0.4, 0.4]),
        ("user_watches", [40] * 3),
        ("user_mean_seconds", [(120 + 5 * 25) / (4 + 5)] * 3),
        ("user_mean_fraction", [(1.2 + 5 * 0.4) / (4 + 5)] * 3),
        ("user_impressions", [60] * 3),
        ("user_watches_per_impression", [(40 + 5 * 0.3) / (60 + 5)] * 3),
        ("user_completions", [14] * 3),
        ("user_completion_rate", [(14 + 5 * 0.2) / (60 + 5)] * 3),
        ("user_watched_of_shown", [(0 + 5 * 0.3) / (2 + 5)] * 3),  # the film was watched before it was shown again
        ("user_shown_last_hour", [0] * 3),
        ("days_since_last_watch", [1] * 3),
        ("days_since_last_query", [1] * 3),
        ("age_years", [30] * 3),
        ("age_missing", [0] * 3),
    ],
)
def test_feature_by_hand(name, film_song_news):
    assert features()[name] == pytest.approx(film_song_news)


@pytest.mark.parametrize("made_up_ms", [NOW - 8 * DAY, NOW - DAY])
def test_the_made_up_time_of_a_watch_is_in_no_feature(made_up_ms):
    catalog = {"film": VideoFacts("studio", ("drama",)), "song": VideoFacts("radio", ("music",))}
    row = None
    for offset, (video, at_ms, surface) in enumerate(
        [("film", made_up_ms, DERIVED_SURFACE), ("song", NOW - 3 * DAY, "home"), ("song", made_up_ms, DERIVED_SURFACE)]
    ):
        watch = WatchEvent(
            event_id=f"e{offset}",
            user_id="u",
            video_id=video,
            started_at=at_ms - 10_000,
            watch_seconds=10,
            video_seconds=20,
            completed=True,
            surface=surface,
        )
        row = fold_event(row, watch, Position(0, offset), catalog, late_ms=30 * DAY)
    values = features(msgspec.structs.asdict(row))
    never = spec.NEVER_DAYS
    assert values["watches_of_video"].tolist() == [1, 2, 0]
    assert values["watches_of_channel"].tolist() == [1, 2, 0]
    assert values["days_since_video_watch"].tolist() == [never, 3, never]
    assert values["days_since_channel"].tolist() == [never, 3, never]
    assert values["days_since_topic"].tolist() == [3, 3, never]  # a film has music too
    assert values["days_since_last_watch"].tolist() == [3, 3, 3]


def test_a_watch_counts_for_what_was_shown_no_later_and_still_is_in_the_history():
    """Of what was shown last, whichever the candidates are."""
    shown_at = [NOW - 2 * DAY, NOW - 30 * 60_000, NOW - 20 * 60_000]
    row = {
        "impression_video_ids": ["film", "song", "news"],
        "impression_counts": [1, 1, 1],
        "impression_last": shown_at,
        "watch_video_ids": ["film", "song"],
        "watch_seconds": [50.0, 50.0],
        "watch_fractions": [0.5, 0.5],
        "watch_times": [shown_at[0] + 1, shown_at[1]],
    }
    values = features(row)
    assert values["user_watched_of_shown"].tolist() == pytest.approx([(2 + 5 * 0.3) / (3 + 5)] * 3)
    assert values["user_shown_last_hour"].tolist() == [2, 2, 2]


def test_what_a_data_set_has_no_times_of_counts_as_watched_and_as_shown_long_ago():
    untimed = {
        "impression_video_ids": ["film", "song"],
        "impression_counts": [1, 1],
        "impression_last": [0, 0],
        "watch_video_ids": ["song"],
        "watch_seconds": [50.0],
        "watch_fractions": [0.5],
        "watch_times": [0],
    }
    values = features(untimed)
    assert values["user_watched_of_shown"].tolist() == pytest.approx([(1 + 5 * 0.3) / (2 + 5)] * 3)
    assert values["user_shown_last_hour"].tolist() == [0, 0, 0]


def test_only_the_last_videos_shown_count_as_answered():
    """The history holds no more watches than `HISTORY`: of what was shown before them, a watch may be forgotten."""
    older, newer = ["film"] * 10, ["news"] * spec.HISTORY
    row = {
        "impression_video_ids": older + newer,
        "impression_counts": [1] * len(older + newer),
        "impression_last": [NOW - 2 * DAY] * len(older + newer),
        "watch_video_ids": ["film"],
        "watch_seconds": [50.0],
        "watch_fractions": [0.5],
        "watch_times": [NOW - DAY],
    }
    assert features(row)["user_watched_of_shown"][0] == pytest.approx(5 * 0.3 / (spec.HISTORY + 5))


def test_an_unknown_user_has_finite_features():
    values = features({})
    assert all(np.isfinite(column).all() for column in values.values())
    assert values["age_missing"].tolist() == [1, 1, 1]
    assert values["days_since_last_watch"].tolist() == [spec.NEVER_DAYS] * 3
    average = {
        "user_mean_seconds": 25.0,
        "user_mean_fraction": 0.4,
        "user_watches_per_impression": 0.3,
        "user_completion_rate": 0.2,
        "user_watched_of_shown": 0.3,
    }
    assert {name: values[name][0] for name in average} == pytest.approx(average)


def test_source_bits_are_those_of_the_contract():
    assert [f"{Source(1 << bit).label}" for bit in range(len(spec.SOURCES))] == list(spec.SOURCES)


def large_call():
    rng = np.random.default_rng(5)
    user = encode_user(UserState.from_rows(ROW), RequestContext(now_ms=NOW), VOCABULARIES)
    rows = rng.integers(0, 4, 500)
    return user, rows, rng.normal(size=500).astype(np.float32), rng.integers(0, 64, 500).astype(np.int32)


def test_a_candidate_alone_has_the_bits_that_it_has_among_five_hundred():
    user, rows, scores, sources = large_call()
    videos = video_table()
    together = cross_features(user, videos.take(rows), scores, sources)
    alone = [
        cross_features(user, videos.take(rows[at : at + 1]), scores[at : at + 1], sources[at : at + 1])
        for at in range(500)
    ]
    assert together.dtype == np.float32
    assert np.concatenate(alone).tobytes() == together.tobytes()


def test_a_user_from_the_wire_gives_the_same_bits():
    user, rows, scores, sources = large_call()
    candidates = video_table().take(rows)
    _, columns = unpack(pack({}, user.to_columns()))
    sent = EncodedUser.from_columns(columns)
    assert cross_features(sent, candidates, scores, sources).tobytes() == (
        cross_features(user, candidates, scores, sources).tobytes()
    )


def test_no_candidates_give_no_rows():
    user, *_ = large_call()
    nothing = np.zeros(0, np.int32)
    assert cross_features(user, video_table().take(nothing), nothing, nothing).shape == (0, len(RANKER_FEATURES))


def test_a_score_too_few_is_refused():
    with pytest.raises(ValueError, match="3 candidates came with 2 scores"):
        features(scores=(1.0, 2.0))


def test_users_together_have_the_bits_that_each_has_alone():
    rows = [ROW, {}, ROW | {"watch_video_ids": ["song"] * 4, "topic_watches": [7, 1], "age": -1.0, "watches": 3}]
    contexts = [RequestContext(now_ms=NOW), RequestContext(now_ms=NOW + DAY), RequestContext(now_ms=NOW - DAY)]
    users = [
        encode_user(UserState.from_rows(row), context, VOCABULARIES)
        for row, context in zip(rows, contexts, strict=True)
    ]
    rng = np.random.default_rng(6)
    user_of, at = rng.integers(0, 3, 60), rng.integers(0, 4, 60)
    scores, sources = rng.normal(size=60).astype(np.float32), rng.integers(0, 64, 60).astype(np.int32)
    videos = video_table()
    together = cross_features_of_many(users, user_of, videos.take(at), scores, sources)
    for number, user in enumerate(users):
        mine = user_of == number
        alone = cross_features(user, videos.take(at[mine]), scores[mine], sources[mine])
        assert together[mine].tobytes() == alone.tobytes()
    assert together[user_of == 2, RANKER_FEATURES.index("watches_of_video")].max() == 4  # song, of the third user only
