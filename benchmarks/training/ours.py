"""Our towers on the made-up watches: `python -m benchmarks.training.ours VIDEOS` (`benchmarks.training.worker`)."""

import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.training.watches import HIDDEN, NEGATIVES, WIDTH, Rows, Watches, recall
from benchmarks.training.worker import Contender, serve
from watchnext.features.batches import Batch, UserColumns, known_rows, tower_batch, video_batch
from watchnext.features.videos import VideoTable
from watchnext.models.config import Sizes, TowerConfig
from watchnext.models.layers import as_tensors
from watchnext.models.towers import TwoTower
from watchnext.settings import Settings, Training
from watchnext.training.checkpoint import Checkpoints
from watchnext.training.distributed import ALONE
from watchnext.training.loop import Batches, Plan, fit, seed_torch
from watchnext.training.negatives import Negatives
from watchnext.training.optimiser import Optimiser
from watchnext.training.towers import WithNegatives, tower_loss

LEARNING_RATE = 0.002  # of the profile `small`


class Ours(Contender):
    """The product's model, batches, negatives and loop."""

    def __init__(self, watches: Watches, folder: Path) -> None:
        seed_torch(0)
        self.watches, self.videos, self.folder = watches, table_of(watches.videos), folder
        words = dict.fromkeys(Sizes.__dataclass_fields__, 2)
        sizes = Sizes(**{**words, "videos": watches.videos + 1})
        self.tower = TwoTower(TowerConfig(sizes=sizes, embedding_dim=WIDTH, hidden=HIDDEN))
        self.optimiser = Optimiser(self.tower, LEARNING_RATE)
        self.negatives = Negatives(np.bincount(watches.trained, minlength=watches.videos + 1), draws=NEGATIVES, seed=0)
        self.settings = Settings(home=folder, training=Training(checkpoint_minutes=0, threads=1))
        self.done = 0

    def train(self, steps: int) -> None:
        positives = Positives(self.watches, self.videos, self.done, steps)
        batches = Part(WithNegatives(positives, self.negatives, self.videos), number=self.done)
        plan = Plan.of(self.settings, "towers", 1, self.folder, ALONE)
        checkpoints = Checkpoints(self.settings, "towers", self.tower, self.optimiser, [])
        fit(plan, self.tower, lambda batch: tower_loss(self.tower, batch), batches, self.optimiser, checkpoints)
        self.done += steps

    def recall(self) -> float:
        history, held_out = self.watches.questions()
        self.tower.eval()
        with torch.inference_mode():
            users = self.tower.user(as_tensors(tower_batch(users_of(history), self.videos)))
            videos = self.tower.videos(as_tensors(video_batch(self.videos)))[1:]
            return recall((users @ videos.T).numpy(), held_out)

    def bytes_an_id(self) -> float:
        table = self.tower.video_embedding.weight
        kept = [tensor for tensor in self.optimiser.tensors().values() if len(table) in tensor.shape[:1]]
        return sum(tensor.nbytes for tensor in (table, *kept)) / len(table)


@dataclass(frozen=True)
class Part:
    """An epoch under a number of its own, so that each call of `train` has other negatives."""

    batches: Batches
    number: int

    @property
    def steps(self) -> int:
        return self.batches.steps

    def epoch(self, number: int, skip: int = 0) -> Iterator[Batch]:
        return self.batches.epoch(self.number, skip)


class Positives:
    """`steps` batches from step `first` on."""

    def __init__(self, watches: Watches, videos: VideoTable, first: int, steps: int) -> None:
        self.watches, self.videos, self.first, self.steps = watches, videos, first, steps

    def epoch(self, number: int, skip: int = 0) -> Iterator[Batch]:
        for step in range(skip, self.steps):
            history, row = self.watches.examples(self.first + step)
            users = users_of(history)
            yield {**tower_batch(users, self.videos), "row": row, "known": known_rows(users)}


def users_of(history: Rows) -> UserColumns:
    """Users of whom nothing is known but what they watched."""
    nothing: dict[str, Any] = {
        name: np.zeros_like(history) if name in ("shown", "search_tokens", "query_tokens") else history[:, 0] * 0
        for name in UserColumns.__dataclass_fields__
    }
    return UserColumns(**{**nothing, "history": history, "age": np.full(len(history), -1, np.float32)})


def table_of(videos: int) -> VideoTable:
    """Videos that have an id and nothing else."""
    size = videos + 1
    rows, floats = np.arange(size, dtype=np.int32), np.zeros(size, np.float32)
    nothing = np.zeros(size, np.int32)
    return VideoTable(
        row=rows,
        embedding=rows,
        ranking_embedding=rows,
        channel=nothing,
        topics=np.zeros((size, 1), np.int32),
        language=nothing,
        uploaded_at=np.zeros(size, np.int64),
        seconds=floats,
        impressions=floats,
        clicks=floats,
        completions=floats,
        watches=floats,
        watch_seconds=floats,
        video_ids=[""] * size,
        titles=[""] * size,
        restricted=np.zeros((size, 1), np.uint8),
        counters_at_ms=0,
    )


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as scratch:
        serve(Ours(Watches.of(int(sys.argv[1])), Path(scratch)))
