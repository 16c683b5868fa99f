"""Measures of the ranker on held-out impressions (design, section 5, metrics).

One entry an impression: `scores` (expected seconds), `seconds` (what was watched; 0 where not clicked), `clicked`,
`users` (any integer code).

>>> auc(np.array([0.1, 0.9]), np.array([False, True]))
1.0
"""

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

Floats = NDArray[np.floating]
Bools = NDArray[np.bool_]
Codes = NDArray[np.integer]

XAUC_PAIRS = 200_000


def auc(scores: Floats, labels: Bools) -> float:
    """Chance that a positive scores above a negative, ties half; NaN where one class is missing."""
    positives = int(labels.sum())
    negatives = len(labels) - positives
    if not positives or not negatives:
        return float("nan")
    ranks = rankdata(scores)
    return float((ranks[labels].sum() - positives * (positives + 1) / 2) / (positives * negatives))


def per_user_auc(scores: Floats, labels: Bools, users: Codes) -> float:
    """AUC within each user who has both classes, weighted by the user's rows; NaN where nobody has."""
    values, weights = [], []
    for rows in _groups(users):
        value = auc(scores[rows], labels[rows])
        if not np.isnan(value):
            values.append(value)
            weights.append(len(rows))
    return float(np.average(values, weights=weights)) if values else float("nan")


def xauc(scores: Floats, seconds: Floats, *, seed: int = 0, pairs: int = XAUC_PAIRS) -> float:
    """Chance that of two impressions with different watch time the longer one scores higher, ties half.

    Over `pairs` random pairs, or over all of them where there are no more than that.
    """
    count = len(scores)
    if count * (count - 1) // 2 <= pairs:
        first, second = np.triu_indices(count, 1)
    else:
        first, second = np.random.default_rng(seed).integers(0, count, (2, pairs))
    longer = np.sign(seconds[first] - seconds[second])
    differ = longer != 0
    if not differ.any():
        return float("nan")
    agreement = longer * np.sign(scores[first] - scores[second])
    return float(np.mean((agreement[differ] + 1) / 2))


def calibration_ratio(expected: Floats, seconds: Floats) -> float:
    """Sum of expected over sum of observed seconds: 1 is calibrated; NaN where nothing was watched."""
    observed = float(seconds.sum())
    return float(expected.sum()) / observed if observed > 0 else float("nan")


def weighted_per_user_loss(scores: Floats, seconds: Floats, clicked: Bools, users: Codes) -> float:
    """The paper's table 1: of all watch time in (clicked, unclicked) pairs of a user, the share that is mispredicted.

    The clicked impression's seconds are mispredicted where the unclicked one scores higher; a tie counts half.
    Lower is better, 0.5 is chance; NaN where there is no pair.
    """
    wrong = total = 0.0
    for rows in _groups(users):
        negatives = np.sort(scores[rows][~clicked[rows]])
        positives, watched = scores[rows][clicked[rows]], seconds[rows][clicked[rows]]
        above = len(negatives) - np.searchsorted(negatives, positives, side="right")
        not_below = len(negatives) - np.searchsorted(negatives, positives, side="left")
        wrong += float((watched * (above + not_below) / 2).sum())
        total += float(watched.sum()) * len(negatives)
    return wrong / total if total > 0 else float("nan")


def ranking_metrics(scores: Floats, seconds: Floats, clicked: Bools, users: Codes) -> dict[str, float]:
    """All measures by name."""
    return {
        "auc": auc(scores, clicked),
        "per_user_auc": per_user_auc(scores, clicked, users),
        "xauc": xauc(scores, seconds),
        "calibration": calibration_ratio(scores, seconds),
        "weighted_per_user_loss": weighted_per_user_loss(scores, seconds, clicked, users),
    }


def _groups(codes: Codes) -> list[NDArray[np.intp]]:
    """Indices of each distinct code."""
    order = np.argsort(codes, kind="stable")
    starts = np.flatnonzero(np.diff(codes[order])) + 1
    return np.split(order, starts) if len(order) else []
