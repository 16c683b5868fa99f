import numpy as np
import pytest

from tests.unit.features.world import NOW, VOCABULARIES, video_table
from watchnext.features import spec
from watchnext.features.batches import UserColumns, known_rows, ranker_batch, tower_batch, video_batch
from watchnext.features.state import RequestContext, UserState, encode_user


def encoded(videos, **row):
    watched = {
        "watch_video_ids": videos,
        "watch_seconds": [1.0] * len(videos),
        "watch_fractions": [0.5] * len(videos),
        "watch_times": [NOW - 1] * len(videos),
    }
    context = RequestContext(now_ms=NOW, surface="home", seed_video_id="film")
    return encode_user(UserState.from_rows({**watched, **row}), context, VOCABULARIES)


def columns(*users):
    return UserColumns.of(users)


def test_the_tower_reads_embedding_ids_of_watched_videos():
    batch = tower_batch(columns(encoded(["film", "song", "news"]), encoded([])), video_table())
    assert batch["history"].shape == (2, spec.HISTORY)
    assert batch["history"][0, :4].tolist() == [0, 1, 2, 0]  # newest first; news has no embedding
    assert not batch["history"][1].any()
    assert batch["history_channels"][0, :4].tolist() == [1, 2, 0, 0]
    assert sorted(batch["history_topics"][0][batch["history_topics"][0] > 0].tolist()) == [1, 2, 2, 3]


def test_the_tower_reads_the_last_videos_that_were_shown():
    names = [*(f"gone-{at}" for at in range(spec.HISTORY - 1)), "song", "film"]  # one more than a bag holds
    shown = {"impression_video_ids": names, "impression_counts": [1] * len(names), "impression_last": [1] * len(names)}
    batch = tower_batch(columns(encoded(["film"], **shown)), video_table())
    assert batch["shown"].shape == (1, spec.HISTORY)
    assert batch["shown"][0, -3:].tolist() == [0, 1, 2]


def test_what_a_user_knows_is_what_was_watched_or_shown():
    shown = {"impression_video_ids": ["news"], "impression_counts": [1], "impression_last": [1]}
    known = known_rows(columns(encoded(["film", "song"], **shown), encoded([])))
    rows = VOCABULARIES.videos.indices(["film", "song", "news"]).tolist()
    assert known.shape == (2, 2 * spec.HISTORY)
    assert [row for row in known[0].tolist() if row] == rows
    assert not known[1].any()


def test_every_named_input_of_the_user_tower_is_in_its_batch():
    batch = tower_batch(
        columns(encoded(["film"], country="DE", device="tv", gender="m", age=25.0, logged_in=True)), video_table()
    )
    indices = {name: batch[name].tolist() for name in ("country", "device", "gender", "surface", "hour")}
    assert indices == {"country": [1], "device": [2], "gender": [2], "surface": [1], "hour": [14]}  # 13 o'clock, from 1
    assert dict(zip(spec.TOWER_FEATURES, batch["continuous"][0].tolist(), strict=True)) == {
        "logged_in": 1,
        "age": 0.5,
        "age_squared": 0.25,
        "age_missing": 0,
        "example_age_days": 0,
    }


def test_example_age_is_zero_at_serving_and_in_the_tower_only():
    users = columns(encoded(["film"]), encoded(["film"]))
    at = spec.TOWER_FEATURES.index("example_age_days")
    assert tower_batch(users, video_table())["continuous"][:, at].tolist() == [0, 0]
    assert tower_batch(users, video_table(), np.array([3.0, 30.0]))["continuous"][:, at] == pytest.approx([0.1, 1.0])
    assert not [name for name in spec.RANKER_FEATURES if "example" in name]


def test_a_missing_age_is_told_by_its_flag():
    values = tower_batch(columns(encoded([])), video_table())["continuous"][0]
    assert values[spec.TOWER_FEATURES.index("age_missing")] == 1
    assert values[spec.TOWER_FEATURES.index("age")] == 0


def test_a_part_of_the_users_gives_their_part_of_the_batch():
    users = columns(encoded(["film"], country="DE"), encoded([], age=25.0), encoded(["song"], last_query="cats"))
    part = users.take(np.array([2, 0]))
    assert len(part) == 2
    assert part.history[:, 0].tolist() == [2, 1]
    assert part.query_tokens[:, 0].tolist() == [1, 0]
    assert tower_batch(part, video_table())["country"].tolist() == [0, 1]
    assert tower_batch(users.take(slice(1, 2)), video_table())["continuous"][0].tolist() == [0, 0.5, 0.25, 0, 0]


def test_nobody_is_a_batch_of_no_lines():
    batch = tower_batch(columns(), video_table())
    assert {name: len(array) for name, array in batch.items()} == dict.fromkeys(batch, 0)
    assert batch["history"].shape == (0, spec.HISTORY)


def test_the_video_tower_reads_the_whole_table():
    batch = video_batch(video_table())
    assert batch["embedding"].tolist() == [0, 2, 1, 0]
    assert batch["topics"].tolist() == [[0, 0], [1, 2], [2, 0], [3, 0]]
    assert batch["length"][1] == pytest.approx([np.log(101) / 8, (np.log(101) / 8) ** 2])


def test_the_ranker_reads_its_own_embedding_ids():
    videos = video_table()
    batch = ranker_batch(
        columns(encoded(["song", "film"]), encoded([], last_query="funny cats")),
        videos,
        videos.take(np.array([1, 3, 1])),
        np.zeros((3, 6), np.float32),
        np.array([0, 1, 1]),
    )
    assert batch["history"][:, :2].tolist() == [[0, 1], [0, 0]]  # only film was clicked often enough
    assert batch["seed"].tolist() == [1, 1]
    assert batch["video"].tolist() == [1, 0, 1]
    assert batch["query_tokens"][1, :4].tolist() == [2, 1, 3, 0]
    assert batch["user"].tolist() == [0, 1, 1]


def test_features_of_other_candidates_are_refused():
    videos = video_table()
    with pytest.raises(ValueError, match="2 candidates came with 3 features"):
        ranker_batch(columns(encoded([])), videos, videos.take(np.array([1, 2])), np.zeros((3, 6), np.float32))
