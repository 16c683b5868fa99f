"""Candidate generation: a user tower and a video tower whose inner product is the logit of the next watch.

Paper, section 3: averaged embeddings of watches and search tokens beside demographics, time and example age, through a
ReLU tower. Ours adds a video tower: the id embedding, which the history shares, plus a content part from channel,
topics, language and length. A video without an id (cold or rare) is its content part alone. Beside what was watched it
reads what was shown, whose id embeddings are the same (docs/adr/0032). And ours lets both averages past the ReLU tower,
by learnt gains, so that videos watched together are near each other from the start (docs/adr/0022). Both vectors end in
the parts of the curve of days since upload, through which example age works (docs/adr/0042). Where order tells
more than the bag, the last few watches are pooled once more (`TowerConfig.windows`), and attention over the watches is
added to the averages (`TowerConfig.pooling`, docs/adr/0034).
"""

import torch
from torch import Tensor, nn

from watchnext.features.batches import EXAMPLE_AGE_SCALE
from watchnext.features.spec import DAY_MS, HISTORY, TOWER_FEATURES
from watchnext.models.attention import NewestAsks
from watchnext.models.config import TowerConfig
from watchnext.models.layers import (
    context_embeddings,
    embedding,
    gathered,
    pool,
    relu_stack,
    sized_embedding,
    warm_start,
    width_of,
)
from watchnext.models.upload_curve import UploadCurve

__all__ = ["TowerConfig", "TwoTower"]

BAG_GAIN = 3.0  # of each bag at the start: averages are that much shorter than their parts
EXAMPLE_AGE = TOWER_FEATURES.index("example_age_days")
LENGTH_FEATURES = 2  # log of the video's length and its square (`batches.video_batch`)


class TwoTower(nn.Module):
    """Both towers; batches are those of `features.batches` as tensors."""

    def __init__(self, config: TowerConfig) -> None:
        super().__init__()
        self.config = config
        sizes, dim = config.sizes, config.embedding_dim
        self.video_embedding = embedding(sizes.videos, dim)  # of both bags and of the video tower
        self.channel_embedding = sized_embedding(sizes.channels)
        self.topic_embedding = sized_embedding(sizes.topics)
        self.language_embedding = sized_embedding(sizes.languages)
        self.token_embedding = sized_embedding(sizes.search_tokens)
        self.context_embeddings = context_embeddings(sizes)
        self.attention = NewestAsks(dim, HISTORY) if config.pooling == "attention" else None
        videos = (len(config.windows) + 1) * width_of(self.video_embedding)
        bags = videos + width_of(self.channel_embedding, self.topic_embedding, self.token_embedding)
        inputs = bags + width_of(self.context_embeddings) + len(TOWER_FEATURES)
        self.user_tower = relu_stack(inputs, config.hidden)
        self.user_vector = nn.Linear(config.hidden[-1] if config.hidden else inputs, dim)
        self.history_gain = nn.Parameter(torch.full((len(config.windows),), BAG_GAIN / len(config.windows)))
        self.shown_gain = nn.Parameter(torch.tensor(BAG_GAIN))
        content = width_of(self.channel_embedding, self.topic_embedding, self.language_embedding)
        self.content_tower = nn.Sequential(nn.Linear(content + LENGTH_FEATURES, dim), nn.ReLU(), nn.Linear(dim, dim))
        self.upload_curve = UploadCurve()

    def user(self, batch: dict[str, Tensor]) -> Tensor:
        """User vectors `[users, dim + upload_curve.WIDTH]` of a `tower_batch`."""
        mode = "average" if self.attention is not None else self.config.pooling
        table, (watched, met) = gathered(self.video_embedding, batch["history"], batch["shown"])
        windows = [pool(table, watched[:, :size], mode) for size in self.config.windows]
        shown = pool(table, met, mode)
        parts = [
            *windows,
            shown,
            pool(self.channel_embedding, batch["history_channels"]),
            pool(self.topic_embedding, batch["history_topics"]),
            pool(self.token_embedding, batch["search_tokens"], mode),
            *(table(batch[name]) for name, table in self.context_embeddings.items()),
            batch["continuous"],
        ]
        learnt = self.user_vector(self.user_tower(torch.cat(parts, dim=1)))
        history = torch.einsum("w,wbd->bd", self.history_gain, torch.stack(windows))
        vector: Tensor = learnt + history + self.shown_gain * shown
        if self.attention is not None:
            vector = vector + self.attention(table, watched)
        example_age_days = batch["continuous"][:, EXAMPLE_AGE] * EXAMPLE_AGE_SCALE
        return torch.cat([vector, self.upload_curve.of_users(example_age_days)], dim=1)

    def warm_start(self, vectors: Tensor) -> None:
        """Set the id embeddings that have a vector `[embedding ids, dim]` of other than zeros; the rest stay random."""
        warm_start(self.video_embedding, vectors)

    def videos(self, batch: dict[str, Tensor]) -> Tensor:
        """Video vectors, as wide as users', of a `video_batch`; in training, some go without their id part."""
        ids = self.video_embedding(batch["embedding"])
        if self.training and self.config.id_dropout:
            kept = torch.rand(len(ids), 1, device=ids.device) >= self.config.id_dropout
            ids = ids * kept
        return self._with_upload(ids + self._content(batch), batch)

    def content(self, batch: dict[str, Tensor]) -> Tensor:
        """Without the id part: what a cold video's vector is."""
        return self._with_upload(self._content(batch), batch)

    def _with_upload(self, vectors: Tensor, batch: dict[str, Tensor]) -> Tensor:
        days = (self.config.until_ms - batch["uploaded_at"]).float() / DAY_MS
        return torch.cat([vectors, self.upload_curve.of_videos(days)], dim=1)

    def _content(self, batch: dict[str, Tensor]) -> Tensor:
        parts = [
            self.channel_embedding(batch["channel"]),
            pool(self.topic_embedding, batch["topics"]),
            self.language_embedding(batch["language"]),
            batch["length"],
        ]
        vector: Tensor = self.content_tower(torch.cat(parts, dim=1))
        return vector
