"""One training of the ablation: a variation with a seed, from examples to held-out figures."""

import json
import math
import os
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np

from watchnext.evaluation.baselines import Popular
from watchnext.evaluation.ranking import ranking_metrics
from watchnext.evaluation.retrieval import retrieval_metrics
from watchnext.evaluation.tower_lists import nearest, user_vectors, video_vectors
from watchnext.models.config import profile_config
from watchnext.settings import Settings
from watchnext.training.ablation.freshness import Curve, popularity_by_age
from watchnext.training.ablation.variations import (
    FRESHNESS_ERROR,
    LISTED_WATCHES,
    RANKER_METRICS,
    TOWER_METRICS,
    Variation,
)
from watchnext.training.example_set import ExampleSet
from watchnext.training.lines import Kind, LineFile
from watchnext.training.ranker import expected_seconds, load_ranker, train_ranker
from watchnext.training.towers import load_towers, train_towers

DEPTH: Final = 50


@dataclass(frozen=True, kw_only=True)
class Trial:
    """What one training came to."""

    variation: str
    seed: int
    figures: dict[str, float]  # finite; a metric that the holdout does not define is none of them
    curve: Curve | None = None  # of the towers, where videos came in while the log was written

    def save(self, path: Path) -> None:
        """As JSON."""
        path.write_text(json.dumps(asdict(self)))

    @classmethod
    def load(cls, path: Path) -> "Trial":
        """What `save` wrote."""
        found = json.loads(path.read_text())
        return cls(**{**found, "curve": Curve(**found["curve"]) if found["curve"] else None})


def run_trial(settings: Settings, variation: Variation, seed: int, examples: Path) -> Trial:
    """Train `variation` on `examples` with `seed`, and measure it on what they hold out.

    Args:
        settings: their `profile` and `training`.
        variation: what is different.
        seed: of weights, batches and negatives.
        examples: folder of an `ExampleSet`, with all examples of a user for a variation that wants them.
    """
    training = settings.training.model_copy(update={"seed": seed, "checkpoint_minutes": 0})
    with tempfile.TemporaryDirectory() as scratch:
        own = settings.model_copy(update={"training": training, "home": Path(scratch)})
        data = changed(variation, seed, ExampleSet.load(examples), Path(scratch) / "examples")
        measure = _towers if variation.stage == "towers" else _ranker
        return measure(own, variation, data)


def changed(variation: Variation, seed: int, data: ExampleSet, folder: Path) -> ExampleSet:
    """The examples as the variation wants them: `data`, or its files in `folder` with one of them rewritten."""
    if variation.towers is None and variation.ranker is None:
        return data
    folder.mkdir()
    for file in data.folder.iterdir():
        if file.is_file():
            os.symlink(file.absolute(), folder / file.name)
    copy = replace(data, folder=folder)
    draw = np.random.default_rng(seed)
    if variation.towers is not None:
        change = variation.towers
        _rewrite(copy.towers, data.towers, lambda lines: change(lines, draw))
    if variation.ranker is not None:
        _rewrite(copy.ranker, data.ranker, variation.ranker)
    return copy


def _rewrite(target: LineFile[Kind], source: LineFile[Kind], change: Callable[[Kind], Kind]) -> None:
    target.path.unlink()
    with target.writer() as writer:
        for part in source.scan():
            writer.write(change(source.kind.of(part)))


def _towers(settings: Settings, variation: Variation, data: ExampleSet) -> Trial:
    config = replace(profile_config(settings.profile, settings.training.model_dump()), **variation.config)
    train_towers(settings, data.folder, settings.home / "model", config=config, amend=variation.amend)
    tower, asked = load_towers(settings.home / "model"), data.queries
    users = user_vectors(tower, asked.users, data.videos, variation.amend)
    ranked = nearest(users, video_vectors(tower, data.videos, variation.amend), asked.seen, DEPTH)
    found = retrieval_metrics(ranked, asked.targets, [DEPTH])
    figures = {name: found[name] for name in TOWER_METRICS}
    figures[LISTED_WATCHES] = float(Popular.fit(data.watched.row, videos=len(data.videos) - 1).counts[ranked].mean())
    curve = popularity_by_age(tower, data, variation.amend)
    if curve is not None:
        figures[FRESHNESS_ERROR] = curve.error
    return Trial(variation=variation.name, seed=settings.training.seed, figures=figures, curve=curve)


def _ranker(settings: Settings, variation: Variation, data: ExampleSet) -> Trial:
    config = replace(profile_config(settings.profile, settings.training.model_dump()), **variation.config)
    train_ranker(settings, data.folder, settings.home / "model", config=config, amend=variation.amend)
    ranker, quantiles = load_ranker(settings.home / "model")
    scores = expected_seconds(ranker, quantiles, data.videos, data.held_out, variation.amend)
    seconds, clicked, person = (data.held_out.column(name) for name in ("seconds", "clicked", "person"))
    found = ranking_metrics(scores, seconds, clicked, person)
    figures = {name: found[name] for name in RANKER_METRICS if math.isfinite(found[name])}
    return Trial(variation=variation.name, seed=settings.training.seed, figures=figures)
