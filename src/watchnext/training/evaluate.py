"""Stage 5: measure both models on the holdout, beside Popular, item-item cosine and each video's mean watch time.

Every contender ranks the same catalogue for the same queries, without what the user has seen; the towers by exact
inner products, so that the figures are the model's and not the index's.
"""

import json
from pathlib import Path
from typing import Any, Final

import numpy as np
import structlog
import torch
from numpy.typing import NDArray

from watchnext.evaluation.baselines import ItemCosine, Popular, VideoMean, top_rows
from watchnext.evaluation.ranking import ranking_metrics, reliability
from watchnext.evaluation.result import DEPTHS, ITEM_COSINE, POPULAR, RANKER, TOWERS, VIDEO_MEAN, Evaluation
from watchnext.evaluation.retrieval import retrieval_metrics
from watchnext.features.batches import tower_batch, video_batch
from watchnext.models.layers import as_tensors
from watchnext.models.towers import TwoTower
from watchnext.settings import Settings
from watchnext.training.device import device_of
from watchnext.training.example_set import ExampleSet
from watchnext.training.ranker import expected_seconds, load_ranker
from watchnext.training.towers import load_towers

QUERIES_AT_ONCE: Final = 256  # bounds the scores in memory: queries x videos

_log = structlog.get_logger(__name__)


def evaluate(settings: Settings, examples: Path, towers: Path, ranker: Path) -> Evaluation:
    """Figures of the models in `towers` and `ranker` on what `examples` holds out."""
    device_of(settings)
    data = ExampleSet.load(examples)
    fitted, quantiles = load_ranker(ranker)
    expected = expected_seconds(fitted, quantiles, data.videos, data.held_out)
    shown, seconds, clicked, person = (data.held_out.column(name) for name in ("row", "seconds", "clicked", "person"))
    deciles = reliability(expected, seconds, by=expected)
    means = VideoMean.fit(data.ranker.column("row"), data.ranker.column("seconds"), videos=len(data.videos) - 1)
    scores: dict[str, NDArray[Any]] = {RANKER: expected, VIDEO_MEAN: means.expected_seconds(shown)}
    result = Evaluation(
        snapshot=data.meta.snapshot,
        split_ms=data.meta.split_ms,
        end_ms=data.meta.end_ms,
        counts=data.meta.counts,
        retrieval=_retrieval(data, load_towers(towers)),
        ranking={name: ranking_metrics(score, seconds, clicked, person) for name, score in scores.items()},
        curves={
            "calibration": [deciles.expected.tolist(), deciles.observed.tolist()],
            "towers loss": _columns(towers / "curve.json"),
            "ranker loss": _columns(ranker / "curve.json"),
        },
    )
    _log.info("evaluated", **{name.replace(" ", "_"): round(value, 4) for name, value in result.flat().items()})
    return result


def _retrieval(data: ExampleSet, tower: TwoTower) -> dict[str, dict[str, float]]:
    """Metrics of each contender."""
    videos = len(data.videos) - 1
    popular = Popular.fit(data.watched.row, videos=videos)
    cosine = ItemCosine.fit(data.watched.person, data.watched.row, videos=videos)
    with torch.inference_mode():
        vectors = tower.videos(as_tensors(video_batch(data.videos))).numpy()
    found: dict[str, list[NDArray[np.int64]]] = {TOWERS: [], POPULAR: [], ITEM_COSINE: []}
    for start in range(0, len(data.queries.users), QUERIES_AT_ONCE):
        users = data.queries.users.take(slice(start, start + QUERIES_AT_ONCE))
        seen = data.queries.seen[start : start + QUERIES_AT_ONCE]
        histories = [np.trim_zeros(history, "b") for history in users.history]
        with torch.inference_mode():
            asked = tower.user(as_tensors(tower_batch(users, data.videos))).numpy()
        found[TOWERS].append(top_rows(asked @ vectors.T, seen, max(DEPTHS)))
        found[POPULAR].append(top_rows(popular.scores(histories), seen, max(DEPTHS)))
        found[ITEM_COSINE].append(top_rows(cosine.scores(histories), seen, max(DEPTHS)))
    return {
        name: retrieval_metrics(np.concatenate(ranked), data.queries.targets, DEPTHS) for name, ranked in found.items()
    }


def _columns(path: Path) -> list[list[float]]:
    """Steps and losses of a training run."""
    return [list(column) for column in zip(*json.loads(path.read_text()), strict=True)] or [[], []]
