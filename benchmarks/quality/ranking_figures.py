"""What the scores of the ranking's contenders say beside each other: figures over seeds, differences to our ranker's.

A contender has every figure that its scores can have: an order has no calibration. The ranker has a line for each head.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from benchmarks.peers.contest import read_answers
from benchmarks.quality.impressions import SURFACE, Impressions
from watchnext.evaluation.figure import UserFigure
from watchnext.evaluation.intervals import Difference, auc_difference, paired_difference, xauc_difference
from watchnext.evaluation.ranking import (
    auc,
    calibration_ratio,
    per_user_auc,
    watch_time_ndcg,
    weighted_per_user_loss,
    xauc,
)

LONG_VIEW: Final = "ranker, long view"
WATCH_TIME: Final = "ranker, watch time"
UNWEIGHTED: Final = "ranker-unweighted"
BOOSTING: Final = "lightgbm-watch-time"
IN_SECONDS: Final = (WATCH_TIME, "logistic-weighted", BOOSTING)  # whose scores are expected seconds

AUC, AUC_OF_SURFACE, PER_USER_AUC = "AUC", f"AUC {SURFACE}", "per-user AUC"
XAUC, NDCG, LOSS, CALIBRATION = "XAUC", "weighted NDCG", "weighted per-user loss", "calibration"
FIGURES: Final = (AUC, AUC_OF_SURFACE, PER_USER_AUC, XAUC, NDCG, LOSS, CALIBRATION)
COMPARED: Final = {AUC: LONG_VIEW, PER_USER_AUC: LONG_VIEW, XAUC: WATCH_TIME, NDCG: WATCH_TIME, LOSS: WATCH_TIME}

Scores = NDArray[np.floating]  # [seeds, impressions]


@dataclass(frozen=True)
class Line:
    """One contender."""

    name: str
    values: dict[str, list[float]]  # of each seed, by figure
    differences: dict[str, Difference]  # our head for it minus this one, by figure; none of that head itself

    def mean(self, figure: str) -> float:
        return float(np.mean(self.values[figure]))


def lines_of(asked: Impressions, scores: Mapping[str, Scores]) -> list[Line]:
    """A line a contender, the best in AUC first.

    Args:
        asked: the held-out impressions.
        scores: of each seed, by contender; those of the ranker's heads among them.
    """
    lines = [
        Line(
            name,
            values_of(asked, of_seeds, in_seconds=name in IN_SECONDS),
            {
                figure: difference_of(figure, asked, scores[head], of_seeds)
                for figure, head in COMPARED.items()
                if name not in (LONG_VIEW, WATCH_TIME)
            },
        )
        for name, of_seeds in scores.items()
    ]
    return sorted(lines, key=lambda line: -line.mean(AUC))


def values_of(asked: Impressions, scores: Scores, *, in_seconds: bool) -> dict[str, list[float]]:
    """Each figure of each seed."""
    here = asked.surface == SURFACE
    values = {
        AUC: [auc(one, asked.long_view) for one in scores],
        AUC_OF_SURFACE: [auc(one[here], asked.long_view[here]) for one in scores],
        XAUC: [xauc(one, asked.seconds) for one in scores],
        **{name: [_by_user(name, asked, one).value for one in scores] for name in (PER_USER_AUC, NDCG, LOSS)},
    }
    if in_seconds:
        values[CALIBRATION] = [calibration_ratio(one, asked.seconds, asked.person).value for one in scores]
    return values


def difference_of(figure: str, asked: Impressions, first: Scores, second: Scores) -> Difference:
    """Of the means over the seeds, with the interval of a bootstrap over users."""
    if figure == AUC:
        return auc_difference(first, second, asked.long_view, asked.person)
    if figure == XAUC:
        return xauc_difference(first, second, asked.seconds, asked.person)
    means = [_mean_of([_by_user(figure, asked, one) for one in scores]) for scores in (first, second)]
    return paired_difference(means[0], means[1])


def read_scores(folder: Path, names: Iterable[str]) -> dict[str, Scores]:
    """The `<contender>-seed<n>.npz` of the named contenders in `folder`, the ranker's by head.

    The folder may hold those of former contenders too.
    """
    found: dict[str, list[NDArray[np.floating]]] = {}
    for name in names:
        for scores in read_answers(folder, name, "scores"):
            named = zip((LONG_VIEW, WATCH_TIME), scores, strict=True) if scores.ndim == 2 else [(name, scores)]
            for contender, one in named:
                found.setdefault(contender, []).append(one.astype(np.float64))
    return {name: np.stack(of_seeds) for name, of_seeds in found.items()}


def _by_user(figure: str, asked: Impressions, scores: NDArray[np.floating]) -> UserFigure:
    if figure == PER_USER_AUC:
        return per_user_auc(scores, asked.long_view, asked.person)
    if figure == NDCG:
        return watch_time_ndcg(scores, asked.seconds, asked.person)
    return weighted_per_user_loss(scores, asked.seconds, asked.clicked, asked.person)


def _mean_of(figures: Sequence[UserFigure]) -> UserFigure:
    """Their weights are those of the rows, the same for all."""
    parts = np.mean([figure.parts for figure in figures], axis=0)
    return UserFigure(figures[0].users, parts, figures[0].weights)
