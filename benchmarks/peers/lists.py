"""Ranked lists: `[queries, DEPTH]` rows of videos, best first, 0 where there are no more."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from benchmarks.quality.split_files import DEPTH

Rows = NDArray[np.int32]


def first_unseen(ranked: Rows, seen: Sequence[Rows]) -> Rows:
    """The first `DEPTH` of each row of `ranked` (`[queries, any depth]`, 0 = none) that its query has not seen."""
    lists = np.zeros((len(ranked), DEPTH), np.int32)
    for query, (row, known) in enumerate(zip(ranked, seen, strict=True)):
        kept = row[(row != 0) & ~np.isin(row, known)][:DEPTH]
        lists[query, : len(kept)] = kept
    return lists


def best_unseen(scores: NDArray[np.float32], seen: Sequence[Rows]) -> Rows:
    """The best `DEPTH` videos of each row of `scores` (`[queries, N]`, row 1 in the first column), which it spoils."""
    for query, known in enumerate(seen):
        scores[query, known - 1] = -np.inf
    depth = min(DEPTH, scores.shape[1])
    best = np.argpartition(-scores, depth - 1, axis=1)[:, :depth]
    value = np.take_along_axis(scores, best, axis=1)
    order = np.argsort(-value, axis=1, kind="stable")
    rows = np.where(np.isneginf(value), 0, best + 1)
    lists = np.zeros((len(scores), DEPTH), np.int32)
    lists[:, :depth] = np.take_along_axis(rows, order, axis=1)
    return lists
