"""Measures of the ranker on held-out impressions (design, section 5, metrics).

One entry an impression: `scores` (expected seconds), `seconds` (what was watched; 0 where not clicked), `clicked`,
`users` (any integer code). A measure that is a mean over users comes as a `UserFigure`. A score that is NaN makes each
measure NaN: it has no place in an order.

>>> auc(np.array([0.1, 0.9]), np.array([False, True]))
1.0
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from watchnext.evaluation.figure import UserFigure

Floats = NDArray[np.floating]
Bools = NDArray[np.bool_]
Codes = NDArray[np.integer]

XAUC_PAIRS = 200_000
DECILES = 10


@dataclass(frozen=True)
class Reliability:
    """Expected against observed seconds of bins of impressions, from the lowest bin on. All are `[bins]`."""

    by: Floats  # mean of what the bins are made by
    expected: Floats  # mean seconds
    observed: Floats  # mean seconds
    rows: Codes  # impressions


def auc(scores: Floats, labels: Bools) -> float:
    """Chance that a positive scores above a negative, ties half; NaN where one class is missing."""
    return per_user_auc(scores, labels, np.zeros(len(scores), np.int64)).value


def per_user_auc(scores: Floats, labels: Bools, users: Codes) -> UserFigure:
    """AUC within each user who has both classes, weighted by the user's rows."""
    codes, at = np.unique(users, return_inverse=True)
    rows, positives = (np.bincount(at, weights, minlength=len(codes)) for weights in (None, labels))
    right = np.bincount(at, labels * _negatives_below(scores, labels, at), minlength=len(codes))
    pairs = positives * (rows - positives)
    return UserFigure(codes, right * rows / np.maximum(pairs, 1), np.where(pairs > 0, rows, 0.0))


def xauc(scores: Floats, seconds: Floats) -> float:
    """Chance that of two impressions with different watch time the longer one scores higher, ties half.

    Over the pairs of `watch_time_pairs`; NaN where there is none.
    """
    longer, shorter = watch_time_pairs(seconds)
    return float(np.mean(agreement(scores, longer, shorter))) if len(longer) else float("nan")


def watch_time_pairs(
    seconds: Floats, *, seed: int = 0, pairs: int = XAUC_PAIRS
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Indices of the longer and of the shorter impression of pairs with different watch time.

    Of `pairs` random pairs, or of all of them where there are no more than that.
    """
    count = len(seconds)
    if count * (count - 1) // 2 <= pairs:
        one, other = np.triu_indices(count, 1)
    else:
        one, other = np.random.default_rng(seed).integers(0, count, (2, pairs))
    differ = seconds[one] != seconds[other]
    one, other = one[differ], other[differ]
    ahead = seconds[one] > seconds[other]
    return np.where(ahead, one, other), np.where(ahead, other, one)


def agreement(scores: Floats, longer: Codes, shorter: Codes) -> Floats:
    """1 where the longer impression of a pair scores higher, 0 where lower, a half at a tie."""
    return (np.sign(scores[longer] - scores[shorter]) + 1) / 2


def calibration_ratio(expected: Floats, seconds: Floats, users: Codes) -> UserFigure:
    """Sum of expected over sum of observed seconds: 1 is calibrated."""
    return UserFigure.of_sums(expected, seconds, users)


def weighted_per_user_loss(scores: Floats, seconds: Floats, clicked: Bools, users: Codes) -> UserFigure:
    """The paper's table 1: of all watch time in (clicked, unclicked) pairs of a user, the share that is mispredicted.

    The clicked impression's seconds are mispredicted where the unclicked one scores higher; a tie counts half.
    Lower is better, 0.5 is chance.
    """
    _, at = np.unique(users, return_inverse=True)
    negatives = np.bincount(at, ~clicked)[at]
    watched = np.where(clicked, seconds, 0)
    return UserFigure.of_sums(watched * (negatives - _negatives_below(scores, clicked, at)), watched * negatives, users)


def watch_time_ndcg(scores: Floats, seconds: Floats, users: Codes) -> UserFigure:
    """Mean over users of the NDCG of all their impressions as one list: gain watched seconds, discount log2(rank + 1).

    Impressions with equal scores share their places. A list that no order betters, all seconds equal, is left out.
    With codes of requests for `users` the lists are those that were shown.
    """
    codes, at = np.unique(users, return_inverse=True)
    best, worst = _discounted(seconds, seconds, at), _discounted(-seconds, seconds, at)
    ordered = best > worst
    values = np.divide(_discounted(scores, seconds, at), best, out=np.zeros(len(codes)), where=ordered)
    return UserFigure(codes, values, ordered.astype(np.float64))


def reliability(expected: Floats, seconds: Floats, by: Floats) -> Reliability:
    """Calibration by decile of `by`: the prediction itself, or the length of the video.

    Equal values of `by` share a bin, so that many of them leave fewer than ten.
    """
    edges = np.quantile(by, np.arange(1, DECILES) / DECILES) if len(by) else by
    bins = np.searchsorted(edges, by)
    rows = np.bincount(bins)
    filled = rows > 0
    by, expected, observed = (np.bincount(bins, of)[filled] / rows[filled] for of in (by, expected, seconds))
    return Reliability(by, expected, observed, rows[filled])


def ranking_metrics(scores: Floats, seconds: Floats, clicked: Bools, users: Codes) -> dict[str, float]:
    """All measures by name."""
    return {
        "auc": auc(scores, clicked),
        "per_user_auc": per_user_auc(scores, clicked, users).value,
        "xauc": xauc(scores, seconds),
        "calibration": calibration_ratio(scores, seconds, users).value,
        "weighted_per_user_loss": weighted_per_user_loss(scores, seconds, clicked, users).value,
        "watch_time_ndcg": watch_time_ndcg(scores, seconds, users).value,
    }


def _negatives_below(scores: Floats, labels: Bools, groups: Codes) -> Floats:
    """How many negatives of its group an impression scores above, ties half."""
    order = np.lexsort((scores, groups))
    before = np.concatenate([[0], np.cumsum(~labels[order])])  # negatives before each place
    first, _ = _runs(groups[order])
    start, end = _runs(groups[order], scores[order])
    below = np.empty(len(order))
    below[order] = (before[start] + before[end]) / 2 - before[first]
    return np.where(np.isnan(scores), np.nan, below)


def _discounted(scores: Floats, seconds: Floats, groups: Codes) -> Floats:
    """Discounted seconds of each group, 0 to the largest, ordered by falling scores."""
    order = np.lexsort((-scores, groups))
    first, _ = _runs(groups[order])
    start, end = _runs(groups[order], scores[order])
    discount = 1 / np.log2(np.arange(len(order)) - first + 2)
    shared = np.where(np.isnan(scores[order]), np.nan, np.bincount(start, discount)[start] / (end - start))
    return np.asarray(np.bincount(groups[order], seconds[order] * shared), np.float64)


def _runs(*ordered: NDArray[np.number]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Where the run of equal entries that a place belongs to starts, and where it ends."""
    changes = np.any([entries[1:] != entries[:-1] for entries in ordered], axis=0)
    starts = np.flatnonzero(np.concatenate([[True], changes]))
    ends = np.append(starts[1:], len(ordered[0]))
    return np.repeat(starts, ends - starts), np.repeat(ends, ends - starts)
