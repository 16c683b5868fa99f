"""Popularity against days since upload, as it was and as towers tell it (paper, section 3.3 and figure 4).

For videos that were uploaded while the training part was written: the share of next watches that a video of an age
gets, from some days before its upload, when it is 0, to some after. The towers are asked what the users of that day's
examples watch next, of all that these do not know already: who has watched a video or passed it over hardly watches it,
which is the half of a falling curve that is no matter of age.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray

from watchnext.clock import DAY_MS
from watchnext.evaluation.tower_lists import video_vectors
from watchnext.features.batches import known_rows, tower_batch
from watchnext.models.layers import Amend, as_tensors
from watchnext.models.towers import TwoTower
from watchnext.training.example_set import ExampleSet, TowerExamples

BEFORE, AFTER = 4, 10  # days around the upload
USERS: Final = 400  # of a day who are asked

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Curve:
    """Mean share of the next watches that a video has, by its age."""

    days: list[int]  # since upload: from this many on, for a day
    observed: list[float]
    predicted: list[float]

    @property
    def error(self) -> float:
        """Root of the mean squared difference, in means of what was observed."""
        gap = np.array(self.predicted) - np.array(self.observed)
        return float(np.sqrt(np.mean(gap**2)) / np.mean(self.observed))


def popularity_by_age(tower: TwoTower, data: ExampleSet, amend: Amend = dict) -> Curve | None:
    """The curve of the videos with an id that have all days of it in the training part.

    None if there is no such video, or nobody watched one on those days. Days are those on which anybody watched on: of
    another there is no share, and one watch with the time of a broken clock makes no training part of 50 years. `amend`
    is that of the towers' training.
    """
    rows, ages = data.towers.column("row"), data.towers.column("age_days")
    watched_on = np.unique(ages.astype(np.int64))
    uploaded = np.floor((data.meta.split_ms - data.videos.uploaded_at) / DAY_MS).astype(np.int64)  # days before the end
    days = np.arange(-BEFORE, AFTER)
    at = uploaded[:, None] - days  # example age in whole days, [videos, days]
    fresh = np.flatnonzero((data.videos.embedding > 0) & (uploaded >= AFTER) & np.isin(at, watched_on).all(axis=1))
    if not len(fresh):
        return None
    asked, place = np.unique(at[fresh], return_inverse=True)
    cells = place, fresh[:, None]
    observed = _observed(rows, ages, asked, videos=len(data.videos))[cells]
    if not observed.any():
        return None
    predicted = _predicted(tower, data, amend, _examples_of(data, asked))[cells]
    return Curve(days.tolist(), observed.mean(axis=0).tolist(), predicted.mean(axis=0).tolist())


def _observed(rows: NDArray[np.int32], ages: NDArray[np.float32], asked: NDArray[np.int64], *, videos: int) -> Floats:
    """Share of each video among the next watches of each day, `[days, videos]`; `asked` are days by example age."""
    day = ages.astype(np.int64)
    among = np.isin(day, asked)
    counts = np.zeros((len(asked), videos))
    np.add.at(counts, (np.searchsorted(asked, day[among]), rows[among]), 1)
    return np.asarray(counts / counts.sum(axis=1, keepdims=True))


def _examples_of(data: ExampleSet, asked: NDArray[np.int64]) -> list[TowerExamples]:
    """The first `USERS` examples of each day; `asked` as of `_observed`."""
    taken: list[list[TowerExamples]] = [[] for _ in asked]
    for columns in data.towers.scan():
        part = TowerExamples.of(columns)
        day = part.age_days.astype(np.int64)
        for examples, wanted in zip(taken, asked.tolist(), strict=True):
            examples.append(part.take(np.flatnonzero(day == wanted)[: USERS - sum(map(len, examples))]))
    return [TowerExamples.joined(examples) for examples in taken]


def _predicted(tower: TwoTower, data: ExampleSet, amend: Amend, days: Sequence[TowerExamples]) -> Floats:
    """Mean probability of each video over a day's examples, `[days, videos]`, among what their users do not know."""
    vectors = torch.from_numpy(video_vectors(tower, data.videos, amend))
    shares = np.zeros((len(days), len(data.videos)))
    for place, examples in enumerate(days):
        batch = amend(as_tensors(tower_batch(examples.users, data.videos, examples.age_days)))
        known = torch.from_numpy(known_rows(examples.users)).long()
        with torch.inference_mode():
            logits = (tower.user(batch) @ vectors.T).scatter(1, known, -math.inf)
            logits[:, 0] = -math.inf
            nothing = logits.isneginf().all(dim=1, keepdim=True)  # is left to who knows all videos
            shares[place] = logits.softmax(dim=1).masked_fill(nothing, 0).mean(dim=0).numpy()
    return shares
