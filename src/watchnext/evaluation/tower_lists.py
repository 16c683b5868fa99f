"""The towers' lists by exact inner products, so that a figure is the model's and not the index's."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from watchnext.evaluation.baselines import ranked_rows
from watchnext.features.batches import UserColumns, tower_batch, video_batch
from watchnext.features.videos import VideoTable
from watchnext.models.layers import Amend, as_tensors
from watchnext.models.towers import TwoTower

Floats = NDArray[np.float32]


def video_vectors(tower: TwoTower, videos: VideoTable, amend: Amend = dict) -> Floats:
    """`[videos, dim]`; `amend` is that of the training."""
    with torch.inference_mode():
        vectors: Floats = tower.videos(amend(as_tensors(video_batch(videos)))).numpy()
    return vectors


def user_vectors(tower: TwoTower, users: UserColumns, videos: VideoTable, amend: Amend = dict) -> Floats:
    """`[users, dim]`; `amend` is that of the training."""
    with torch.inference_mode():
        vectors: Floats = tower.user(amend(as_tensors(tower_batch(users, videos)))).numpy()
    return vectors


def nearest(users: Floats, vectors: Floats, seen: Sequence[NDArray[np.integer]], depth: int) -> NDArray[np.int64]:
    """The rows with the largest inner products, without those seen: `[users, depth]`, then 0."""
    return ranked_rows(lambda part: users[part] @ vectors.T, seen, depth)
