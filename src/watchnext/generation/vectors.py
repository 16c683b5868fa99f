"""User and video vectors of a generation's towers: `[n, dim]` float32, without gradients."""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray

from watchnext.features.batches import UserColumns, tower_batch, video_batch
from watchnext.features.state import EncodedUser, UserState, encode_user
from watchnext.features.videos import VideoTable
from watchnext.features.vocabulary import Vocabularies
from watchnext.generation.bundle import ProbeUser
from watchnext.models.layers import as_tensors
from watchnext.models.towers import TwoTower

CHUNK: Final = 4_096  # videos or users a forward pass: bounds memory at a million videos


def video_vectors(tower: TwoTower, videos: VideoTable, rows: NDArray[np.integer[Any]]) -> NDArray[np.float32]:
    """Vectors of the rows `rows`; the unknown video's, row 0, is the zero vector."""
    parts = []
    with torch.inference_mode():
        for start in range(0, len(rows), CHUNK):
            batch = video_batch(videos.take(rows[start : start + CHUNK]))
            parts.append(tower.videos(as_tensors(batch)).numpy())
    vectors = np.concatenate(parts).astype(np.float32, copy=False)
    vectors[rows == 0] = 0
    return vectors


def encoded_users(vocabularies: Vocabularies, users: Sequence[ProbeUser]) -> list[EncodedUser]:
    """Users as the feature store returned them, each as of its request."""
    return [encode_user(UserState.from_rows(user.row), user.context, vocabularies) for user in users]


def user_vectors(tower: TwoTower, videos: VideoTable, users: Sequence[EncodedUser]) -> NDArray[np.float32]:
    """Vectors of encoded users; example age 0, as in serving."""
    parts = []
    with torch.inference_mode():
        for start in range(0, len(users), CHUNK):
            batch = tower_batch(UserColumns.of(users[start : start + CHUNK]), videos)
            parts.append(tower.user(as_tensors(batch)).numpy())
    return np.concatenate(parts).astype(np.float32, copy=False)
