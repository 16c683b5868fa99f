import dataclasses

import numpy as np
import pytest

from tests.unit.features.world import DAY, NOW, VOCABULARIES
from watchnext.contracts.rows import USER_ROWS
from watchnext.features import spec
from watchnext.features.codec import pack, unpack
from watchnext.features.state import EncodedUser, RequestContext, UserState, encode_user

ROW = {
    "watch_video_ids": ["film", "gone", "song"],
    "watch_seconds": [10.0, 20.0, 30.0],
    "watch_fractions": [0.1, 0.2, 0.3],
    "watch_times": [NOW - 3 * DAY, NOW - 2 * DAY, NOW - DAY],
    "search_tokens": ["cats", "dogs"],
    "last_query": "Funny cats",
    "last_query_at": NOW - 5,
    "gender": "m",
    "country": "US",
    "device": "tv",
    "logged_in": True,
    "birth_year": 2_000,
    "age": None,
    "watches": 7,
}


def test_every_column_of_the_state_is_a_column_of_a_user_row():
    columns = {name: kind for row in USER_ROWS for name, kind in row.features().items()}
    for field in dataclasses.fields(UserState):
        assert columns[field.name] == field.type, field.name


def test_missing_none_and_nan_columns_are_empty():
    assert UserState.from_rows({}) == UserState()
    assert UserState.from_rows({"watch_video_ids": None, "age": float("nan"), "gender": None}) == UserState()


def test_arrays_of_a_training_join_read_like_lists_of_an_online_read():
    joined = {name: np.array(value, object) if isinstance(value, list) else value for name, value in ROW.items()}
    assert UserState.from_rows(joined) == UserState.from_rows(ROW)


def test_lists_of_different_lengths_are_refused():
    with pytest.raises(ValueError, match=r"watch_seconds.*\[3, 2, 3, 3\]"):
        UserState.from_rows({**ROW, "watch_seconds": [1.0, 2.0]})


def test_encoding_by_hand():
    context = RequestContext(now_ms=NOW, surface="home", seed_video_id="news")
    user = encode_user(UserState.from_rows(ROW), context, VOCABULARIES)
    assert user.history.tolist() == [1, 0, 2]
    assert user.search_tokens.tolist() == [1, 0]
    assert user.query_tokens.tolist() == [2, 1, 3]  # funny, cats, funny cats
    assert (user.country, user.device, user.gender, user.surface, user.seed) == (2, 2, 2, 1, 3)
    assert (user.logged_in, user.hour, user.watches) == (1, 13, 7)
    assert user.age == 24  # day 20,000 is in 2024


def test_a_request_overrides_country_and_device_of_the_profile():
    context = RequestContext(now_ms=NOW, country="DE", device="phone")
    user = encode_user(UserState.from_rows(ROW), context, VOCABULARIES)
    assert (user.country, user.device) == (1, 1)


@pytest.mark.parametrize(
    ("row", "years"), [({}, -1.0), ({"age": 31.5}, 31.5), ({"birth_year": 1990, "age": 3.0}, 34.0)]
)
def test_age_comes_from_the_birth_year_then_from_the_age(row, years):
    user = encode_user(UserState.from_rows(row), RequestContext(now_ms=NOW), VOCABULARIES)
    assert user.age == years


def test_only_the_last_watches_are_encoded():
    count = spec.HISTORY + 5
    row = {
        "watch_video_ids": ["film"] * 5 + ["song"] * spec.HISTORY,
        "watch_seconds": [1.0] * count,
        "watch_fractions": [1.0] * count,
        "watch_times": list(range(count)),
    }
    user = encode_user(UserState.from_rows(row), RequestContext(now_ms=NOW), VOCABULARIES)
    assert user.history.tolist() == [2] * spec.HISTORY
    assert user.history_at[0] == 5


def test_the_wire_gives_the_same_user_back():
    user = encode_user(UserState.from_rows(ROW), RequestContext(now_ms=NOW, surface="home"), VOCABULARIES)
    _, columns = unpack(pack({}, user.to_columns()))
    back = EncodedUser.from_columns(columns)
    for field in dataclasses.fields(EncodedUser):
        sent, came = getattr(user, field.name), getattr(back, field.name)
        assert np.array_equal(sent, came), field.name
        assert type(sent) is type(came), field.name


def test_a_user_with_a_column_too_few_is_refused():
    columns = encode_user(UserState(), RequestContext(now_ms=NOW), VOCABULARIES).to_columns()
    del columns["history"]
    with pytest.raises(ValueError, match="history"):
        EncodedUser.from_columns(columns)
