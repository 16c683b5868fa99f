"""Stage 5: measure both models on the holdout, beside Popular, item-item cosine and each video's mean watch time.

Every contender ranks the same catalogue for the same queries, without what the user has seen; the towers by exact
inner products, so that the figures are the model's and not the index's: alone, and merged with the sources beside them
as retrieval does.
"""

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import structlog
from numpy.typing import NDArray

from watchnext.evaluation.baselines import ItemCosine, Popular, VideoMean, ranked_rows
from watchnext.evaluation.cold_start import Asked, cold_start
from watchnext.evaluation.merged_lists import merged_lists
from watchnext.evaluation.ranking import ranking_metrics, reliability
from watchnext.evaluation.result import DEPTHS, ITEM_COSINE, MERGED, POPULAR, RANKER, TOWERS, VIDEO_MEAN, Evaluation
from watchnext.evaluation.retrieval import retrieval_metrics
from watchnext.evaluation.tower_lists import nearest, user_vectors, video_vectors
from watchnext.generation.popular import popular_rows
from watchnext.models.towers import TwoTower
from watchnext.recommend.sources import SourceTables
from watchnext.settings import Settings
from watchnext.training.device import device_of
from watchnext.training.example_set import ExampleSet
from watchnext.training.ranker import expected_seconds, load_ranker
from watchnext.training.towers import load_towers

_log = structlog.get_logger(__name__)


def evaluate(settings: Settings, examples: Path, towers: Path, ranker: Path) -> Evaluation:
    """Figures of the models in `towers` and `ranker` on what `examples` holds out."""
    device_of(settings)
    data = ExampleSet.load(examples)
    tower, (fitted, quantiles) = load_towers(towers), load_ranker(ranker)
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
        retrieval=_retrieval(data, tower, settings.serving.candidates),
        ranking={name: ranking_metrics(score, seconds, clicked, person) for name, score in scores.items()},
        curves={
            "calibration": [deciles.expected.tolist(), deciles.observed.tolist()],
            "towers loss": _columns(towers / "curve.json"),
            "ranker loss": _columns(ranker / "curve.json"),
        },
        cold_start=_cold_start(data, tower),
    )
    _log.info("evaluated", **{name.replace(" ", "_"): round(value, 4) for name, value in result.flat().items()})
    return result


def _retrieval(data: ExampleSet, tower: TwoTower, candidates: int) -> dict[str, dict[str, float]]:
    """Metrics of each contender."""
    videos = len(data.videos) - 1
    popular = Popular.fit(data.watched.row, videos=videos)
    cosine = ItemCosine.fit(data.watched.person, data.watched.row, videos=videos)
    users, seen = data.queries.users, data.queries.seen
    asked, vectors = user_vectors(tower, users, data.videos), video_vectors(tower, data.videos)
    histories, depth = [np.trim_zeros(history, "b") for history in users.history], max(DEPTHS)
    found: dict[str, NDArray[Any]] = {
        TOWERS: nearest(asked, vectors, seen, depth),
        MERGED: merged(data, asked, vectors, dim=tower.config.embedding_dim, candidates=candidates, depth=depth),
        POPULAR: ranked_rows(lambda part: popular.scores(histories[part]), seen, depth),
        ITEM_COSINE: ranked_rows(lambda part: cosine.scores(histories[part]), seen, depth),
    }
    return {name: retrieval_metrics(ranked, data.queries.targets, DEPTHS) for name, ranked in found.items()}


def merged(
    data: ExampleSet,
    asked: NDArray[np.float32],
    vectors: NDArray[np.float32],
    *,
    dim: int,
    candidates: int,
    depth: int,
) -> NDArray[np.int32]:
    """What retrieval would list at the split, `[queries, depth]`.

    Args:
        data: the examples.
        asked: the towers' vectors of the queries' users, `[queries, width]`.
        vectors: the towers' vectors of the videos, `[videos, width]`.
        dim: of a vector the first so many tell which videos are alike; the others tell when they were uploaded.
        candidates: wanted of retrieval (`serving.candidates`).
        depth: of the lists.
    """
    videos = dataclasses.replace(data.videos, watches=data.watches)
    popular = popular_rows(videos, {})
    tables = SourceTables.of(videos, vectors=vectors, popular=popular, item_item=data.item_item, dim=dim)
    now_ms, users = data.meta.split_ms, data.queries.users
    return merged_lists(tables, users, asked, data.queries.seen, now_ms=now_ms, candidates=candidates, depth=depth)


def _cold_start(data: ExampleSet, tower: TwoTower) -> dict[str, dict[str, float]]:
    asked = Asked(users=data.queries.users, seen=data.queries.seen, targets=data.queries.targets)
    return cold_start(tower, data.videos, asked, watched=data.watched.row, met=data.met.row)


def _columns(path: Path) -> list[list[float]]:
    """Steps and losses of a training run."""
    return [list(column) for column in zip(*json.loads(path.read_text()), strict=True)] or [[], []]
