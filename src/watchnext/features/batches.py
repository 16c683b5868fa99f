"""Batches: users and videos as the arrays that towers and ranker read, the same in training and serving.

Users come as columns: serving makes them of encoded users, training reads them from the examples' files. Ids become
embedding ids here, through the video table: a watched video without one still counts by its channel and topics. Bags
are padded with 0, which every embedding leaves out.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from operator import attrgetter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from watchnext.features.spec import HISTORY, TOWER_FEATURES
from watchnext.features.state import EncodedUser
from watchnext.features.videos import CandidateVideos, VideoTable

AGE_SCALE = 50.0  # years that read as 1
EXAMPLE_AGE_SCALE = 30.0  # days that read as 1

Batch = dict[str, NDArray[Any]]
Ints = NDArray[np.int32]


@dataclass(frozen=True, kw_only=True)
class UserColumns:
    """What towers and ranker read of some users; `[users]`, bags `[users, HISTORY]` with zeros at the end."""

    history: Ints  # watched rows of the video table, old to new
    shown: Ints  # rows of the last videos with impressions, old to new
    search_tokens: Ints
    query_tokens: Ints  # of the last query
    country: Ints
    device: Ints
    gender: Ints
    surface: Ints
    seed: Ints  # row of the video that is being watched
    logged_in: Ints
    hour: Ints  # of the day, 0 to 23
    age: NDArray[np.float32]  # years; -1: not told

    @classmethod
    def of(cls, users: Sequence[EncodedUser]) -> "UserColumns":
        """The columns of encoded users."""
        bags = {name: _padded([getattr(user, name) for user in users]) for name in BAGS}
        lines = np.array([_WHOLE_NUMBERS_OF(user) for user in users], dtype=np.int32)
        numbers = np.ascontiguousarray(lines.reshape(-1, len(WHOLE_NUMBERS)).T)
        age = np.array([user.age for user in users], dtype=np.float32)
        return cls(**bags, **dict(zip(WHOLE_NUMBERS, numbers, strict=True)), age=age)

    def __len__(self) -> int:
        return len(self.age)

    def take(self, at: Any) -> "UserColumns":
        """The users of an index array, a slice or a mask."""
        return UserColumns(**{column.name: getattr(self, column.name)[at] for column in fields(self)})


BAGS = ("history", "shown", "search_tokens", "query_tokens")
WHOLE_NUMBERS = tuple(column.name for column in fields(UserColumns) if column.name not in (*BAGS, "age"))
_WHOLE_NUMBERS_OF = attrgetter(*WHOLE_NUMBERS)


def tower_batch(users: UserColumns, videos: VideoTable, example_age_days: NDArray[Any] | float = 0.0) -> Batch:
    """Inputs of the user tower.

    Args:
        users: the users.
        videos: the generation's table.
        example_age_days: snapshot end − label time of each example (paper, section 3.3); 0 at serving.
    """
    age = np.maximum(users.age, np.float32(0)) / np.float32(AGE_SCALE)
    example_age = np.asarray(example_age_days, dtype=np.float32) / np.float32(EXAMPLE_AGE_SCALE)
    columns: tuple[NDArray[Any], ...] = (users.logged_in, age, age * age, users.age < 0, example_age)
    continuous = np.empty((len(users), len(TOWER_FEATURES)), dtype=np.float32)
    for at, column in enumerate(columns):  # in the order of TOWER_FEATURES
        continuous[:, at] = column
    return {
        "history": videos.embedding.take(_newest_first(users.history)),
        **_history_content(users.history, videos),
        "shown": videos.embedding.take(users.shown),
        "search_tokens": users.search_tokens,
        **_user_indices(users),
        "continuous": continuous,
    }


def known_rows(users: UserColumns) -> NDArray[np.int32]:
    """Rows of videos that a user has watched or been shown, 0 where there are fewer: `[users, 2 · HISTORY]`."""
    return np.concatenate([users.history, users.shown], axis=1)


def video_batch(videos: CandidateVideos) -> Batch:
    """Inputs of the video tower: the whole table, or what `VideoTable.take` gave."""
    length = np.log1p(videos.seconds) / np.float32(8)  # an hour reads as 1
    return {
        "embedding": videos.embedding,
        "channel": videos.channel,
        "topics": _without_empty_columns(videos.topics),
        "language": videos.language,
        "length": np.stack([length, length * length], axis=1),
        "uploaded_at": videos.uploaded_at,
    }


def ranker_batch(
    users: UserColumns,
    videos: VideoTable,
    candidates: CandidateVideos,
    continuous: NDArray[np.float32],
    user_of: NDArray[Any] | None = None,
) -> Batch:
    """Inputs of the ranker, a line a candidate; a user's part is computed once and gathered by `user`.

    Args:
        users: the users of the candidates.
        videos: the generation's table.
        candidates: columns of the candidates, `[candidates]`.
        continuous: `QuantileNormalizer.expand` of `cross_features`, `[candidates, 3 · features]`.
        user_of: index into `users` of each candidate; all are the first user's without it.

    Raises:
        ValueError: candidates, continuous features and `user_of` differ in length.
    """
    user = np.zeros(len(candidates), dtype=np.int64) if user_of is None else np.asarray(user_of, dtype=np.int64)
    if not len(candidates) == len(continuous) == len(user):
        raise ValueError(f"{len(candidates)} candidates came with {len(continuous)} features and {len(user)} users")
    return {
        "user": user,
        "history": videos.ranking_embedding.take(users.history),
        "shown": videos.ranking_embedding.take(users.shown),
        "seed": videos.ranking_embedding[users.seed],
        "query_tokens": users.query_tokens,
        **_user_indices(users),
        "video": candidates.ranking_embedding,
        "channel": candidates.channel,
        "topics": _without_empty_columns(candidates.topics),
        "language": candidates.language,
        "continuous": continuous,
    }


def _user_indices(users: UserColumns) -> Batch:
    return {
        "country": users.country,
        "device": users.device,
        "gender": users.gender,
        "surface": users.surface,
        "hour": users.hour + np.int32(1),
    }


def _history_content(history: NDArray[np.int32], videos: VideoTable) -> Batch:
    """Channels `[users, HISTORY]` and topics `[users, HISTORY · topics]` of the watched videos."""
    topics = _without_empty_columns(videos.topics[history].reshape(-1, videos.topics.shape[1]))
    return {
        "history_channels": videos.channel.take(history),
        "history_topics": topics.reshape(len(history), HISTORY * topics.shape[1]),
    }


def _newest_first(bags: Ints) -> Ints:
    """Each bag `[bags, HISTORY]` turned round, its zeros still at the end."""
    lengths = HISTORY - (bags != 0)[:, ::-1].argmax(axis=1)  # of an empty bag: any, its entries are zeros
    from_end = lengths[:, None] - 1 - np.arange(HISTORY)
    turned: Ints = np.take_along_axis(bags, np.maximum(from_end, 0), axis=1)
    turned[from_end < 0] = 0
    return turned


def _padded(bags: Sequence[NDArray[np.int32]]) -> NDArray[np.int32]:
    """`[bags, HISTORY]`, the last of each, zeros at the end."""
    padded = np.zeros((len(bags), HISTORY), dtype=np.int32)
    for at, bag in enumerate(bags):
        padded[at, : min(len(bag), HISTORY)] = bag[-HISTORY:]
    return padded


def _without_empty_columns(topics: NDArray[np.int32]) -> NDArray[np.int32]:
    """Topics fill from the left: columns that no video of the batch fills cost time and add nothing."""
    used = int((topics > 0).any(axis=0).sum())
    return topics[:, : max(used, 1)]
