"""torch-rechub's YoutubeDNN: the mean of the last watches through a tower, softmax over sampled negatives.

Its model, loss and trainer are used as they are. Batches are made here, since its own generator copies each example's
history into a table: every watch is an example with the watches before it and negatives drawn evenly, its default.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch_rechub.basic.features import SequenceFeature, SparseFeature
from torch_rechub.models.matching import YoutubeDNN
from torch_rechub.trainers import MatchTrainer

from benchmarks.peers.lists import Rows, best_unseen
from benchmarks.quality.split_files import HISTORY, Split, lists_of

Batch = tuple[dict[str, torch.Tensor], torch.Tensor]


@dataclass(frozen=True)
class Examples:
    """One example a watch, in the order of users; iterating gives an epoch in a new order."""

    videos: NDArray[np.int32]
    firsts: NDArray[np.int64]  # where the example's user begins
    negatives: int
    batch: int
    draw: np.random.Generator

    @classmethod
    def of(cls, split: Split, *, negatives: int, batch: int, seed: int) -> "Examples":
        user, video = (split.interactions[name].to_numpy() for name in ("user", "video"))
        order = np.argsort(user, kind="stable")
        _, first, size = np.unique(user[order], return_index=True, return_counts=True)
        return cls(video[order], np.repeat(first, size), negatives, batch, np.random.default_rng(seed))

    @property
    def trained(self) -> Rows:
        """The videos that somebody watched."""
        return np.unique(self.videos)

    def __iter__(self) -> Iterator[Batch]:
        order, candidates = self.draw.permutation(len(self.videos)), self.trained
        for start in range(0, len(order) - self.batch + 1, self.batch):
            chosen = order[start : start + self.batch]
            drawn = self.draw.choice(candidates, (self.batch, self.negatives))
            arrays = {"history": self.history(chosen), "video": self.videos[chosen], "negatives": drawn}
            yield {name: torch.from_numpy(rows) for name, rows in arrays.items()}, torch.zeros(self.batch)

    def history(self, chosen: NDArray[np.int64]) -> Rows:
        """`[chosen, HISTORY]`: the watches of its user before each example, old to new, 0 in front."""
        places = chosen[:, None] + np.arange(-HISTORY, 0)
        return np.where(places >= self.firsts[chosen, None], self.videos[places], np.int32(0))


def youtube_dnn(split: Split, parameters: dict[str, Any], seed: int) -> Iterator[Rows]:
    """Ranked lists after each epoch, of which each data set has so many; only videos that were watched are ranked."""
    torch.manual_seed(seed)
    examples = Examples.of(split, negatives=parameters["negatives"], batch=parameters["batch"], seed=seed)
    model = _model(split.videos, parameters)
    trainer = MatchTrainer(
        model, mode=2, optimizer_params={"lr": parameters["lr"], "weight_decay": parameters["weight_decay"]}
    )
    for _ in range(parameters["epochs"][split.data]):
        trainer.train_one_epoch(examples)
        yield _lists(model, split, examples.trained)


def _model(videos: int, parameters: dict[str, Any]) -> YoutubeDNN:
    width = parameters["width"]
    video = SparseFeature("video", vocab_size=videos + 1, embed_dim=width)
    history, negatives = (
        SequenceFeature(name, videos + 1, embed_dim=width, pooling=pooling, shared_with="video", padding_idx=padding)
        for name, pooling, padding in (("history", "mean", 0), ("negatives", "concat", None))
    )
    return YoutubeDNN(
        [history],
        [video],
        [negatives],
        user_params={"dims": [*parameters["hidden"], width]},
        temperature=parameters["temperature"],
    )


@torch.no_grad()
def _lists(model: YoutubeDNN, split: Split, trained: Rows) -> Rows:
    histories = np.zeros((split.queries.num_rows, HISTORY), np.int32)
    for row, history in zip(histories, lists_of(split.queries["history"]), strict=True):
        row[HISTORY - len(history) :] = history
    model.eval()
    model.mode = "user"
    users = model({"history": torch.from_numpy(histories)})
    model.mode = "item"
    videos = model({"video": torch.from_numpy(trained)})
    model.mode = None
    scores = np.full((len(histories), split.videos), -np.inf, np.float32)
    scores[:, trained - 1] = (users @ videos.T).numpy()
    return best_unseen(scores, lists_of(split.queries["seen"]))
