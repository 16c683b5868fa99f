"""What reading costs: training on files through the loader, against the very same batches lying in memory.

Both sides take the same steps with models of the profile `small` over 100,000 videos; only where batches come from
differs. Seconds are the processor's, all threads together: a busy machine slows nobody down but by its caches, and that
the loader reads ahead in a thread hides nothing. `python -m benchmarks.training` runs it.
"""

import dataclasses
import tempfile
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.rounds import Verdict, interleave
from benchmarks.training.ours import table_of
from watchnext.features.batches import Batch, UserColumns
from watchnext.features.quantiles import QuantileNormalizer
from watchnext.features.spec import HISTORY, RANKER_FEATURES, VIDEO_TOPICS
from watchnext.features.videos import VideoTable
from watchnext.models.config import PROFILES, Sizes
from watchnext.models.layers import as_tensors
from watchnext.models.ranker import Ranker
from watchnext.models.towers import TwoTower
from watchnext.training.example_set import ExampleFiles, RankerExamples, TowerExamples
from watchnext.training.loader import Streamed
from watchnext.training.loop import Batches, Loss
from watchnext.training.negatives import Negatives
from watchnext.training.optimiser import Optimiser
from watchnext.training.ranker import RankerLoss, labelled
from watchnext.training.towers import WithNegatives, tower_inputs, tower_loss

VIDEOS, EXAMPLES, SEED = 100_000, 65_536, 1
CONFIG: Final = PROFILES["small"]
SIZES: Final = Sizes(
    videos=VIDEOS + 1,
    ranking_videos=VIDEOS + 1,
    channels=10_000,
    topics=300,
    languages=20,
    countries=60,
    devices=5,
    genders=4,
    surfaces=5,
    search_tokens=50_000,
)
BAR: Final = "<= 1.2"


def loader_verdicts(rounds: int) -> list[Verdict]:
    """Seconds of an epoch with the loader, by those with its batches in memory; for the towers and for the ranker."""
    with tempfile.TemporaryDirectory() as folder:
        files = ExampleFiles(folder=Path(folder))
        generator = np.random.default_rng(SEED)
        table = _video_table(generator)
        with files.towers.writer() as towers, files.ranker.writer() as ranker:
            towers.write(_tower_examples(generator))
            ranker.write(_ranker_examples(generator))
        return [_verdict("towers", *_towers(files, table), rounds), _verdict("ranker", *_ranker(files, table), rounds)]


def _verdict(name: str, batches: Batches, model: torch.nn.Module, loss_of: Loss, rounds: int) -> Verdict:
    in_memory = list(batches.epoch(0))
    optimiser = Optimiser(model, CONFIG.learning_rate)

    def seconds(epoch: Iterator[Batch]) -> float:
        began = time.process_time()
        for batch in epoch:
            loss, _ = loss_of(as_tensors(batch))
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
        return time.process_time() - began

    contenders = {"loader": lambda: seconds(batches.epoch(0)), "memory": lambda: seconds(iter(in_memory))}
    measured = interleave(contenders, rounds=rounds, title=f"{name}' batches")
    rates = {f"{side} examples/s": round(EXAMPLES / measured.median(side)) for side in contenders}
    return Verdict(f"{name}: loader over memory", measured.ratio("memory"), BAR, rates, measured.control)


def _towers(files: ExampleFiles, table: VideoTable) -> tuple[Batches, torch.nn.Module, Loss]:
    tower = TwoTower(CONFIG.tower_config(SIZES, until_ms=0))
    users = Streamed(files.towers, CONFIG.batch, SEED, partial(tower_inputs, videos=table))
    negatives = Negatives(files.towers.counts("row", len(table)), draws=CONFIG.negatives, seed=SEED)
    return WithNegatives(users, negatives, table), tower, partial(tower_loss, tower)


def _ranker(files: ExampleFiles, table: VideoTable) -> tuple[Batches, torch.nn.Module, Loss]:
    features = next(files.ranker.scan("features"))["features"]
    quantiles = QuantileNormalizer.fit(features, CONFIG.quantile_bins)
    ranker = Ranker(CONFIG.ranker_config(SIZES, len(RANKER_FEATURES)))
    batches = Streamed(files.ranker, CONFIG.batch, SEED, partial(labelled, videos=table, quantiles=quantiles))
    return batches, ranker, RankerLoss(ranker, CONFIG.ranking_weight, scale=10)


def _tower_examples(generator: np.random.Generator) -> TowerExamples:
    return TowerExamples(
        users=_users(generator),
        row=_rows(generator, EXAMPLES),
        age_days=generator.random(EXAMPLES, np.float32) * 30,
    )


def _ranker_examples(generator: np.random.Generator) -> RankerExamples:
    clicked = generator.random(EXAMPLES) < 0.3
    return RankerExamples(
        users=_users(generator),
        row=_rows(generator, EXAMPLES),
        features=_features(generator),
        clicked=clicked,
        seconds=np.where(clicked, generator.exponential(60, EXAMPLES), 0).astype(np.float32),
        completed=clicked & (generator.random(EXAMPLES) < 0.5),
        at_ms=np.arange(EXAMPLES),
        person=np.arange(EXAMPLES),
    )


def _features(generator: np.random.Generator) -> NDArray[np.float32]:
    """Half are 0, as most flags and counts are."""
    shape = (EXAMPLES, len(RANKER_FEATURES))
    return np.where(generator.random(shape) < 0.5, 0, generator.exponential(10, shape)).astype(np.float32)


def _users(generator: np.random.Generator) -> UserColumns:
    """Half with full bags of what they watched and were shown; one in three has searched."""
    columns = {
        name: generator.integers(1, getattr(SIZES, plural), EXAMPLES, np.int32)
        for name, plural in (("country", "countries"), ("device", "devices"), ("gender", "genders"))
    }
    watches = np.minimum(generator.integers(0, 2 * HISTORY, EXAMPLES), HISTORY)
    searches = generator.integers(1, HISTORY, EXAMPLES) * (generator.random(EXAMPLES) < 1 / 3)
    tokens = generator.integers(1, SIZES.search_tokens, (EXAMPLES, HISTORY), np.int32)
    return UserColumns(
        history=_bags(_rows(generator, EXAMPLES * HISTORY).reshape(EXAMPLES, HISTORY), watches),
        shown=_bags(_rows(generator, EXAMPLES * HISTORY).reshape(EXAMPLES, HISTORY), watches),
        search_tokens=_bags(tokens, searches),
        query_tokens=_bags(tokens, np.minimum(searches, 3)),
        **columns,
        surface=np.ones(EXAMPLES, np.int32),
        seed=np.zeros(EXAMPLES, np.int32),
        logged_in=np.ones(EXAMPLES, np.int32),
        hour=generator.integers(0, 24, EXAMPLES, np.int32),
        age=generator.integers(15, 70, EXAMPLES).astype(np.float32),
    )


def _bags(values: NDArray[np.int32], lengths: NDArray[np.int64]) -> NDArray[np.int32]:
    return np.where(np.arange(HISTORY) < lengths[:, None], values, np.int32(0))


def _rows(generator: np.random.Generator, size: int) -> NDArray[np.int32]:
    """Video rows, some watched much more than others."""
    return (VIDEOS * generator.random(size) ** 3).astype(np.int32) + np.int32(1)


def _video_table(generator: np.random.Generator) -> VideoTable:
    size = VIDEOS + 1
    topics = np.zeros((size, VIDEO_TOPICS), np.int32)
    topics[:, :3] = generator.integers(1, SIZES.topics, (size, 3))
    return dataclasses.replace(
        table_of(VIDEOS),
        channel=generator.integers(1, SIZES.channels, size, np.int32),
        topics=topics,
        language=generator.integers(1, SIZES.languages, size, np.int32),
        seconds=generator.exponential(300, size).astype(np.float32),
    )
