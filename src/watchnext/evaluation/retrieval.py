"""Measures of a retrieved list against the videos that the user went on to watch (design, section 5, metrics).

A query is one user at one time. `ranked` is `[queries, depth]`, video rows, best first, 0 = no more candidates;
`targets` holds one set of rows a query. Every measure is the mean over queries.

>>> round(recall_at(np.array([[3, 1, 2]]), [{1, 9}], 2), 3)
0.5
"""

from collections.abc import Sequence
from collections.abc import Set as AbstractSet

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.integer]
Targets = Sequence[AbstractSet[int]]


def hits_of(ranked: Rows, targets: Targets) -> NDArray[np.bool_]:
    """`[queries, depth]`: whether the video at each rank is a target of its query.

    Raises:
        ValueError: there are not as many target sets as lists, or a query has no target.
    """
    if len(ranked) != len(targets):
        raise ValueError(f"{len(ranked)} ranked lists came with {len(targets)} target sets")
    if not all(targets):
        raise ValueError("a query without a target came; leave such queries out")
    hits = np.zeros(ranked.shape, bool)
    for query, wanted in enumerate(targets):
        hits[query] = [int(row) != 0 and int(row) in wanted for row in ranked[query]]
    return hits


def recall_at(ranked: Rows, targets: Targets, k: int) -> float:
    """Share of a query's targets that are among its first `k`."""
    found = hits_of(ranked[:, :k], targets).sum(1)
    return float(np.mean(found / _sizes(targets)))


def hit_rate_at(ranked: Rows, targets: Targets, k: int) -> float:
    """Share of queries with at least one target among the first `k`."""
    return float(np.mean(hits_of(ranked[:, :k], targets).any(1)))


def ndcg_at(ranked: Rows, targets: Targets, k: int) -> float:
    """Normalised discounted cumulative gain: gain 1 a target, discount log2(rank + 1), ideal min(k, targets) long."""
    discount = 1 / np.log2(np.arange(2, k + 2))
    hits = hits_of(ranked[:, :k], targets)
    gained = (hits * discount[: hits.shape[1]]).sum(1)
    ideal = np.cumsum(discount)[np.minimum(_sizes(targets), k) - 1]
    return float(np.mean(gained / ideal))


def map_at(ranked: Rows, targets: Targets, k: int) -> float:
    """Mean average precision over the first `k`, normalised by min(k, targets)."""
    hits = hits_of(ranked[:, :k], targets)
    precision = np.cumsum(hits, 1) / np.arange(1, hits.shape[1] + 1)
    return float(np.mean((precision * hits).sum(1) / np.minimum(_sizes(targets), k)))


def retrieval_metrics(ranked: Rows, targets: Targets, depths: Sequence[int]) -> dict[str, float]:
    """All four measures at each depth, by names such as `recall@50`."""
    measures = {"recall": recall_at, "hit_rate": hit_rate_at, "ndcg": ndcg_at, "map": map_at}
    return {f"{name}@{k}": measure(ranked, targets, k) for k in depths for name, measure in measures.items()}


def _sizes(targets: Targets) -> NDArray[np.int64]:
    return np.array([len(wanted) for wanted in targets], np.int64)
