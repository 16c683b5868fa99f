"""Our merged list on a split: the towers and the item-item table fitted on it, and the product's own retrieval."""

import dataclasses
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.quality import ours
from benchmarks.quality.split_files import DEPTH, Split
from watchnext.clock import HOUR_MS
from watchnext.evaluation.tower_lists import user_vectors, video_vectors
from watchnext.features.spec import COUNTER_HALF_LIFE_HOURS
from watchnext.settings import Settings
from watchnext.training.evaluate import merged
from watchnext.training.example_set import ExampleSet
from watchnext.training.item_item import fit_item_item
from watchnext.training.towers import load_towers, train_towers


def lists(settings: Settings, split: Split, folder: Path) -> NDArray[np.int32]:
    """Train on `split` in `folder`, and answer its queries: `[queries, DEPTH]` rows of the split."""
    ours.write_examples(settings, split, folder / "examples")
    train_towers(settings, folder / "examples", folder / "towers")
    data, tower = ExampleSet.load(folder / "examples"), load_towers(folder / "towers")
    data.save_item_item(fit_item_item(data.met, videos=len(data.videos) - 1))
    rows = ours.split_rows(data, split)
    found = merged(
        dataclasses.replace(data, watches=counted(data, split, rows)),
        user_vectors(tower, data.queries.users, data.videos),
        video_vectors(tower, data.videos),
        dim=tower.config.embedding_dim,
        candidates=settings.serving.candidates,
        depth=DEPTH,
    )
    return rows[found]


def counted(data: ExampleSet, split: Split, rows: NDArray[np.int32]) -> NDArray[np.float32]:
    """The watches before the cut, decayed as the product's counters are; the untimed ones count for nothing."""
    watched = split.interactions.to_pandas()
    timed = watched[~watched["derived"]]
    decay = np.exp2((timed["at_ms"].to_numpy() - data.meta.end_ms) / HOUR_MS / COUNTER_HALF_LIFE_HOURS)
    counts = np.bincount(timed["video"], weights=decay, minlength=split.videos + 1)
    return counts[rows].astype(np.float32)
