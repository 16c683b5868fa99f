"""What the ranked lists of all contenders say beside each other: figures over seeds, differences to the subject."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from benchmarks.peers.contest import read_answers
from benchmarks.quality.split_files import Split, lists_of
from watchnext.evaluation.figure import UserFigure
from watchnext.evaluation.intervals import Difference, paired_difference
from watchnext.evaluation.retrieval import (
    BUCKETS,
    coverage_at,
    hits_of,
    popularity_buckets,
    recall_by_popularity,
)

DEPTH: Final = 50
MEASURES: Final = ("recall@50", "hit_rate@50", "ndcg@50", "map@50")


@dataclass(frozen=True)
class Line:
    """One contender: the mean over its seeds of each measure, and how far the seeds lie apart."""

    name: str
    seeds: int
    values: dict[str, float]
    spread: dict[str, float]  # largest minus smallest over the seeds
    difference: Difference | None  # subject minus this one, in the measure that decides; none for the subject itself


def lines_of(split: Split, lists: Mapping[str, Sequence[NDArray[np.int32]]], subject: str, measure: str) -> list[Line]:
    """A line a contender, the best first.

    Args:
        split: whose queries were answered.
        lists: the ranked lists of each seed, by contender.
        subject: the contender that the others are compared with.
        measure: one of `MEASURES`.
    """
    users = split.queries["user"].to_numpy()
    values = {name: [values_of(split, ranked) for ranked in of_seeds] for name, of_seeds in lists.items()}
    deciding = {
        name: UserFigure.of_values(np.mean([one[measure] for one in of_seeds], axis=0), users)
        for name, of_seeds in values.items()
    }
    lines = []
    for name, of_seeds in values.items():
        figures = [{key: float(np.nanmean(value)) for key, value in one.items()} for one in of_seeds]
        for figure, ranked in zip(figures, lists[name], strict=True):
            figure["coverage@50"] = coverage_at(ranked, DEPTH, videos=split.videos)
        lines.append(
            Line(
                name,
                len(figures),
                {key: float(np.mean([figure[key] for figure in figures])) for key in figures[0]},
                {key: float(np.ptp([figure[key] for figure in figures])) for key in figures[0]},
                None if name == subject else paired_difference(deciding[subject], deciding[name]),
            )
        )
    return sorted(lines, key=lambda line: -line.values[measure])


def values_of(split: Split, ranked: NDArray[np.int32]) -> dict[str, NDArray[np.float64]]:
    """Each measure of each query, `[queries]`; NaN where it says nothing of the query."""
    targets = lists_of(split.queries["targets"])
    hits = hits_of(ranked, targets)
    counts = np.bincount(split.interactions["video"].to_numpy(), minlength=split.videos + 1)
    by_bucket = recall_by_popularity(ranked, targets, popularity_buckets(counts), DEPTH)
    return {
        "recall@50": hits.recall(DEPTH),
        "hit_rate@50": hits.hit_rate(DEPTH),
        "ndcg@50": hits.ndcg(DEPTH),
        "map@50": hits.average_precision(DEPTH),
        **{f"recall@50 {bucket}": by_bucket[bucket] for bucket in BUCKETS},
    }


def read_lists(folder: Path, names: Iterable[str]) -> dict[str, list[NDArray[np.int32]]]:
    """The `<contender>-seed<n>.npz` of the named contenders in `folder`; it may hold those of former ones too."""
    return {name: read_answers(folder, name, "ranked") for name in names}
