"""torch-rechub's YoutubeDNN on the made-up watches: `python -m benchmarks.training.peer VIDEOS`.

Its model, loss and trainer as they are, with its optimiser. It draws negatives for each example; they are drawn in
advance here, uniformly, and cost it no time. Temperature and learning rate gave the best recall of eight pairs tried,
0.05 to 0.2 and 0.0005 to 0.02.
"""

import sys
from collections.abc import Iterator

import numpy as np
import torch
from torch_rechub.basic.features import SequenceFeature, SparseFeature
from torch_rechub.models.matching import YoutubeDNN
from torch_rechub.trainers import MatchTrainer

from benchmarks.training.watches import BATCH, HIDDEN, NEGATIVES, WIDTH, Watches, recall
from benchmarks.training.worker import Contender, serve

TEMPERATURE, LEARNING_RATE = 0.1, 0.0005
DRAWN = 8  # batches of negatives, used again and again

Batch = tuple[dict[str, torch.Tensor], torch.Tensor]


class Peer(Contender):
    """torch-rechub's model and trainer."""

    def __init__(self, watches: Watches) -> None:
        torch.manual_seed(0)
        torch.set_num_threads(1)
        self.watches = watches
        video = SparseFeature("video", vocab_size=watches.videos + 1, embed_dim=WIDTH)
        history, negatives = (
            SequenceFeature(
                name, watches.videos + 1, embed_dim=WIDTH, pooling=pooling, shared_with="video", padding_idx=padding
            )
            for name, pooling, padding in (("history", "mean", 0), ("negatives", "concat", None))
        )
        self.model = YoutubeDNN(
            [history], [video], [negatives], user_params={"dims": [*HIDDEN, WIDTH]}, temperature=TEMPERATURE
        )
        self.trainer = MatchTrainer(self.model, mode=2, optimizer_params={"lr": LEARNING_RATE, "weight_decay": 0.0})
        draw = np.random.default_rng(0)
        shape = (DRAWN, BATCH, NEGATIVES)
        self.drawn = torch.from_numpy(draw.integers(1, watches.videos + 1, size=shape, dtype=np.int32))
        self.done = 0

    def train(self, steps: int) -> None:
        self.trainer.train_one_epoch(self._batches(steps))
        self.done += steps

    def _batches(self, steps: int) -> Iterator[Batch]:
        for step in range(self.done, self.done + steps):
            history, row = (torch.from_numpy(rows) for rows in self.watches.examples(step))
            negatives = self.drawn[step % DRAWN]
            yield {"history": history, "video": row, "negatives": negatives}, torch.zeros(BATCH)

    def recall(self) -> float:
        history, held_out = self.watches.questions()
        every = torch.arange(1, self.watches.videos + 1)
        self.model.eval()
        with torch.inference_mode():
            self.model.mode = "user"
            users = self.model({"history": torch.from_numpy(history)})
            self.model.mode = "item"
            videos = self.model({"video": every})
            self.model.mode = None
            return recall((users @ videos.T).numpy(), held_out)

    def bytes_an_id(self) -> float:
        table = self.model.embedding.embed_dict["video"].weight
        moments = [value for value in self.trainer.optimizer.state[table].values() if value.dim()]
        return float(sum(tensor.nbytes for tensor in (table, table.grad, *moments)) / len(table))


if __name__ == "__main__":
    serve(Peer(Watches.of(int(sys.argv[1]))))
