"""Batches: encoded users and videos as the arrays that towers and ranker read, the same in training and serving.

Ids become embedding ids here, through the video table: a watched video without one still counts by its channel and
topics. Bags are padded with 0, which every embedding leaves out.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from watchnext.features.spec import HISTORY
from watchnext.features.state import EncodedUser
from watchnext.features.videos import CandidateVideos, VideoTable

AGE_SCALE = 50.0  # years that read as 1
EXAMPLE_AGE_SCALE = 30.0  # days that read as 1

Batch = dict[str, NDArray[Any]]


def tower_batch(
    users: Sequence[EncodedUser], videos: VideoTable, example_age_days: NDArray[Any] | float = 0.0
) -> Batch:
    """Inputs of the user tower.

    Args:
        users: the encoded users.
        videos: the generation's table.
        example_age_days: snapshot end − label time of each example (paper, section 3.3); 0 at serving.
    """
    age = np.array([max(user.age, 0.0) for user in users], dtype=np.float32) / np.float32(AGE_SCALE)
    continuous = (  # in the order of spec.TOWER_FEATURES
        [user.logged_in for user in users],
        age,
        age * age,
        [user.age < 0 for user in users],
        np.broadcast_to(np.asarray(example_age_days, dtype=np.float32) / np.float32(EXAMPLE_AGE_SCALE), len(users)),
    )
    history = _padded([user.history for user in users])
    return {
        "history": videos.embedding[history],
        **_history_content(history, videos),
        "search_tokens": _padded([user.search_tokens for user in users]),
        **_user_indices(users),
        "continuous": np.stack([np.asarray(column, dtype=np.float32) for column in continuous], axis=1),
    }


def video_batch(videos: CandidateVideos) -> Batch:
    """Inputs of the video tower: the whole table, or what `VideoTable.take` gave."""
    length = np.log1p(videos.seconds) / np.float32(8)  # an hour reads as 1
    return {
        "embedding": videos.embedding,
        "channel": videos.channel,
        "topics": _without_empty_columns(videos.topics),
        "language": videos.language,
        "length": np.stack([length, length * length], axis=1),
    }


def ranker_batch(
    users: Sequence[EncodedUser],
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
    history = _padded([one.history for one in users])
    seeds = np.array([one.seed for one in users], dtype=np.int32)
    return {
        "user": user,
        "history": videos.ranking_embedding[history],
        "seed": videos.ranking_embedding[seeds],
        "query_tokens": _padded([one.query_tokens for one in users]),
        **_user_indices(users),
        "video": candidates.ranking_embedding,
        "channel": candidates.channel,
        "topics": _without_empty_columns(candidates.topics),
        "language": candidates.language,
        "continuous": continuous,
    }


def _user_indices(users: Sequence[EncodedUser]) -> Batch:
    names = ("country", "device", "gender", "surface")
    indices = {name: np.array([getattr(user, name) for user in users], dtype=np.int32) for name in names}
    return {**indices, "hour": np.array([user.hour + 1 for user in users], dtype=np.int32)}


def _history_content(history: NDArray[np.int32], videos: VideoTable) -> Batch:
    """Channels `[users, HISTORY]` and topics `[users, HISTORY · topics]` of the watched videos."""
    topics = _without_empty_columns(videos.topics[history].reshape(-1, videos.topics.shape[1]))
    return {
        "history_channels": videos.channel[history],
        "history_topics": topics.reshape(len(history), -1),
    }


def _padded(bags: Sequence[NDArray[np.int32]]) -> NDArray[np.int32]:
    """`[bags, HISTORY]`, zeros at the end."""
    padded = np.zeros((len(bags), HISTORY), dtype=np.int32)
    for at, bag in enumerate(bags):
        padded[at, : len(bag)] = bag[:HISTORY]
    return padded


def _without_empty_columns(topics: NDArray[np.int32]) -> NDArray[np.int32]:
    """Topics fill from the left: columns that no video of the batch fills cost time and add nothing."""
    used = int((topics > 0).any(axis=0).sum())
    return topics[:, : max(used, 1)]
