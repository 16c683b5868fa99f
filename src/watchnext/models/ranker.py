"""Ranking: weighted logistic regression on a ReLU trunk; e^logit is the expected watch time (paper, section 4).

One video embedding serves the impressed video, the last watched and the last shown ones and the seed video (section
4.1: one id space, one embedding). What the impressed one has in common with the watched and with the shown ones, its
inner product with the average of either, is an input of its own (docs/adr/0037). A second head on the same trunk tells
the probability of a long view, for measuring and explaining.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from watchnext.models.config import RankerConfig
from watchnext.models.layers import (
    context_embeddings,
    gathered,
    pool,
    relu_stack,
    sized_embedding,
    warm_start,
    width_of,
)

__all__ = ["Ranker", "RankerConfig"]

SHAPES = 3  # of a continuous feature: x̃, x̃², √x̃
BAGS = ("history", "shown")  # of the user's videos
LIKENESS = 3.0  # brings inner products with an average of 50 vectors of length 1 to the size of other inputs


class Ranker(nn.Module):
    """Scores the candidates of a `features.batches.ranker_batch`."""

    def __init__(self, config: RankerConfig) -> None:
        super().__init__()
        self.config = config
        sizes = config.sizes
        self.video_embedding = sized_embedding(sizes.ranking_videos)  # of impressed, watched, shown and seed videos
        self.channel_embedding = sized_embedding(sizes.channels)
        self.topic_embedding = sized_embedding(sizes.topics)
        self.language_embedding = sized_embedding(sizes.languages)
        self.token_embedding = sized_embedding(sizes.search_tokens)
        self.context_embeddings = context_embeddings(sizes)
        videos = (2 + len(BAGS)) * width_of(self.video_embedding) + len(BAGS)
        content = width_of(self.channel_embedding, self.topic_embedding, self.language_embedding)
        user = width_of(self.token_embedding, self.context_embeddings)
        inputs = videos + content + user + SHAPES * config.continuous
        self.trunk = relu_stack(inputs, config.hidden, config.dropout)
        last = config.hidden[-1] if config.hidden else inputs
        self.watch_time = nn.Linear(last, 1)
        self.long_view = nn.Linear(last, 1)

    def forward(self, batch: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
        """Logit of watch time and logit of a long view, each `[candidates]`."""
        trunk = self.trunk(self._inputs(batch))
        return self.watch_time(trunk).squeeze(1), self.long_view(trunk).squeeze(1)

    def expected_seconds(self, batch: dict[str, Tensor]) -> Tensor:
        """e^logit, the odds of the weighted regression: seconds of watch time per impression, `[candidates]`."""
        logit, _ = self.forward(batch)
        return logit.exp()

    def warm_start(self, vectors: Tensor) -> None:
        """Set the video embeddings that have a vector `[ranking ids, width]` of other than zeros."""
        warm_start(self.video_embedding, vectors)

    def start_at(self, mean_seconds: float, long_view_rate: float) -> None:
        """Set the heads' biases to what is known before training: the means of the training set."""
        if mean_seconds <= 0 or not 0 < long_view_rate < 1:
            raise ValueError(
                f"mean {mean_seconds} s and long-view rate {long_view_rate} came; wanted > 0 and in (0, 1)"
            )
        with torch.no_grad():
            self.watch_time.bias.fill_(math.log(mean_seconds))
            self.long_view.bias.fill_(math.log(long_view_rate / (1 - long_view_rate)))

    def contributions(self, batch: dict[str, Tensor]) -> Tensor:
        """Gradient × input of the watch-time logit: `[candidates, features]`, the three shapes of a feature summed."""
        with torch.no_grad():
            inputs = self._inputs(batch)
        with torch.inference_mode(False), torch.enable_grad():  # the server calls inside inference mode
            inputs = inputs.detach().clone().requires_grad_()
            (gradient,) = torch.autograd.grad(self.watch_time(self.trunk(inputs)).sum(), inputs)
            product = (gradient * inputs).detach()
        continuous = product[:, -SHAPES * self.config.continuous :]  # the last columns of `_inputs`
        return continuous.reshape(len(product), SHAPES, self.config.continuous).sum(dim=1)

    def _inputs(self, batch: dict[str, Tensor]) -> Tensor:
        table, (seed, impressed, *bags) = gathered(
            self.video_embedding, batch["seed"], batch["video"], *(batch[name] for name in BAGS)
        )
        of_user = torch.cat(
            [
                table(seed),
                pool(self.token_embedding, batch["query_tokens"]),
                *(embedding(batch[name]) for name, embedding in self.context_embeddings.items()),
            ],
            dim=1,
        )
        user, video = batch["user"], table(impressed)
        averages = [pool(table, bag)[user] for bag in bags]
        likeness = [
            _likeness(average, bag[user], video, impressed) for average, bag in zip(averages, bags, strict=True)
        ]
        return torch.cat(
            [
                of_user[user],
                *map(self._dropped, [*averages, video, self.channel_embedding(batch["channel"])]),
                pool(self.topic_embedding, batch["topics"]),
                self.language_embedding(batch["language"]),
                *likeness,
                batch["continuous"],
            ],
            dim=1,
        )

    def _dropped(self, vectors: Tensor) -> Tensor:
        return functional.dropout(vectors, self.config.dropout, self.training)


def _likeness(average: Tensor, bag: Tensor, video: Tensor, video_id: Tensor) -> Tensor:
    """Inner product of each video `[candidates, width]` with the average of the bag's others, `[candidates, 1]`.

    Itself is left out: that it was watched or shown before is told by features, which may lower it.
    """
    known = (bag != 0).sum(dim=1)
    itself = (bag == video_id.unsqueeze(1)).sum(dim=1)
    others = (average * video).sum(dim=1) * known - itself * video.square().sum(dim=1)
    return (others / (known - itself).clamp(min=1) * LIKENESS).unsqueeze(1)
