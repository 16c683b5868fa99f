"""Measures of a retrieved list against the videos that the user went on to watch (design, section 5, metrics).

A query is one user at one time. `ranked` is `[queries, depth]`, video rows, best first, 0 = no more candidates;
`targets` holds the rows wanted by each query. Measures come by query; a report shows their mean.

>>> hits_of(np.array([[3, 1, 2]]), [{1, 9}]).recall(2).tolist()
[0.5]
"""

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from itertools import chain

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.integer]
Floats = NDArray[np.float64]
Targets = Sequence[AbstractSet[int] | Rows]

BUCKETS = ("head", "torso", "tail")


@dataclass(frozen=True)
class Hits:
    """Which of the ranked videos are targets. Every measure is `[queries]`."""

    found: NDArray[np.bool_]  # [queries, depth]
    sizes: NDArray[np.int64]  # [queries], targets of each

    def recall(self, k: int) -> Floats:
        """Share of a query's targets that are among its first `k`."""
        return np.asarray(self.found[:, :k].sum(1) / self.sizes)

    def hit_rate(self, k: int) -> Floats:
        """1 with at least one target among the first `k`, else 0."""
        return np.asarray(self.found[:, :k].any(1), np.float64)

    def ndcg(self, k: int) -> Floats:
        """Normalised discounted cumulative gain: gain 1 a target, discount log2(rank + 1), ideal min(k, targets)."""
        discount = 1 / np.log2(np.arange(2, k + 2))
        gained = self.found[:, :k] @ discount[: self.found.shape[1]]
        return np.asarray(gained / np.cumsum(discount)[np.minimum(self.sizes, k) - 1])

    def average_precision(self, k: int) -> Floats:
        """Sum of the precision at each target among the first `k`, by min(k, targets)."""
        found = self.found[:, :k]
        precision = np.cumsum(found, 1) / np.arange(1, found.shape[1] + 1)
        return np.asarray((precision * found).sum(1) / np.minimum(self.sizes, k))


def hits_of(ranked: Rows, targets: Targets) -> Hits:
    """Compare the lists with the targets; a target that comes twice counts once.

    Raises:
        ValueError: there are not as many target sets as lists, a query has no target, or a list has a video twice or
            a negative row.
    """
    if len(ranked) != len(targets):
        raise ValueError(f"{len(ranked)} ranked lists came with {len(targets)} target sets")
    _check_lists(ranked)
    query, row = _pairs(targets)
    sizes = np.bincount(query, minlength=len(targets))
    if not sizes.all():
        raise ValueError("a query without a target came; leave such queries out")
    width = int(max(row.max(initial=0), ranked.max(initial=0))) + 1
    wanted = query * width + row  # rising
    listed = np.arange(len(ranked))[:, None] * width + ranked
    places = np.minimum(np.searchsorted(wanted, listed), len(wanted) - 1)
    return Hits((wanted[places] == listed) & (ranked > 0), sizes)


def retrieval_values(ranked: Rows, targets: Targets, depths: Sequence[int]) -> dict[str, Floats]:
    """All four measures at each depth by query, `[queries]`, by names such as `recall@50`."""
    hits = hits_of(ranked, targets)
    measures = {"recall": hits.recall, "hit_rate": hits.hit_rate, "ndcg": hits.ndcg, "map": hits.average_precision}
    return {f"{name}@{k}": measure(k) for k in depths for name, measure in measures.items()}


def retrieval_metrics(ranked: Rows, targets: Targets, depths: Sequence[int]) -> dict[str, float]:
    """The mean over queries of what `retrieval_values` gives."""
    return {name: float(values.mean()) for name, values in retrieval_values(ranked, targets, depths).items()}


def coverage_at(ranked: Rows, k: int, *, videos: int) -> float:
    """Share of the catalogue of `videos` that is among the first `k` of at least one list."""
    listed = np.unique(ranked[:, :k])
    return np.count_nonzero(listed) / videos


def popularity_buckets(watches: NDArray[np.number]) -> NDArray[np.int8]:
    """The bucket of each video row, an index of `BUCKETS`, by its watches in the training part, `[videos + 1]`.

    The videos stand by falling watches, ties by row: the head has the first third of all training watches, the torso
    the second, the tail the last and the videos never watched. A video across a border counts where it begins.
    """
    order = np.argsort(-watches, kind="stable")
    counts = watches[order].astype(np.int64)
    before = np.cumsum(counts) - counts
    buckets = np.full(len(watches), BUCKETS.index("tail"), np.int8)
    watched = counts > 0
    buckets[order[watched]] = before[watched] * len(BUCKETS) // counts.sum()
    return buckets


def recall_by_popularity(ranked: Rows, targets: Targets, buckets: NDArray[np.int8], k: int) -> dict[str, Floats]:
    """Of a query's targets in a bucket, the share among its first `k`, `[queries]`; NaN where it has none there.

    `buckets` are those of `popularity_buckets`; the keys are `BUCKETS`.
    """
    query, row = _pairs(targets)
    found, listed = hits_of(ranked[:, :k], targets).found, buckets[ranked[:, :k]]
    values = {}
    for bucket, name in enumerate(BUCKETS):
        sizes = np.bincount(query[buckets[row] == bucket], minlength=len(targets))
        hits = (found & (listed == bucket)).sum(1)
        values[name] = np.divide(hits, sizes, out=np.full(len(targets), np.nan), where=sizes > 0)
    return values


def _pairs(targets: Targets) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Query and row of each target, once, in rising order."""
    rows = np.fromiter(chain.from_iterable(targets), np.int64)
    queries = np.repeat(np.arange(len(targets)), [len(wanted) for wanted in targets])
    width = int(rows.max(initial=0)) + 1
    query, row = np.divmod(np.unique(queries * width + rows), width)
    return query, row


def _check_lists(ranked: Rows) -> None:
    ordered = np.sort(ranked, 1)
    wrong = (ordered[:, :1] < 0).any(1) | ((np.diff(ordered, axis=1) == 0) & (ordered[:, 1:] > 0)).any(1)
    if wrong.any():
        query = int(np.argmax(wrong))
        raise ValueError(
            f"list {query} has a video twice or a negative row; wanted distinct rows, then 0: {ranked[query]}"
        )
