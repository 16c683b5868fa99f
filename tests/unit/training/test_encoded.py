from dataclasses import fields

import numpy as np
import pytest

from watchnext.features.state import RequestContext, UserState, encode_user
from watchnext.features.vocabulary import Vocabularies, Vocabulary
from watchnext.training.encoded import KEPT, EncodedUsers

VOCABULARIES = Vocabularies(**{field.name: Vocabulary(["a", "b", "c"]) for field in fields(Vocabularies)})


def user(*videos: str, now_ms: int, tokens: tuple[str, ...] = ()):
    count = len(videos)
    state = UserState(
        watch_video_ids=list(videos),
        watch_seconds=[1.0] * count,
        watch_fractions=[0.5] * count,
        watch_times=[5] * count,
        search_tokens=list(tokens),
        impression_video_ids=["a"],
        impression_counts=[2],
        impression_last=[3],
        country="b",
        age=33.5,
    )
    return encode_user(state, RequestContext(now_ms=now_ms, surface="c"), VOCABULARIES)


USERS = [user("a", "b", now_ms=10), user(now_ms=20, tokens=("c",)), user("c", now_ms=1_700_000_000_123)]


def test_bags_and_scalars_survive_saving_and_joining(tmp_path):
    joined = EncodedUsers.concatenated([EncodedUsers.of(USERS[:2]), EncodedUsers.of(USERS[2:])])
    joined.save(tmp_path / "users.npz")
    loaded = EncodedUsers.load(tmp_path / "users.npz")
    assert len(loaded) == 3
    assert loaded[2].now_ms == 1_700_000_000_123
    for expected, found in zip(USERS, loaded.take(np.arange(3)), strict=True):
        for name in KEPT:
            assert getattr(found, name).tolist() == getattr(expected, name).tolist()
        assert found.to_columns()["scalars"].tolist() == expected.to_columns()["scalars"].tolist()


def test_what_only_cross_features_read_is_left_out():
    assert len(USERS[0].shown_at) == 1
    assert len(EncodedUsers.of(USERS)[0].shown_at) == 0


def test_no_users_are_an_error():
    with pytest.raises(ValueError, match="no users"):
        EncodedUsers.of([])
