"""A generation made ready for requests: what is computed once, when the follower loads it, and never on a request."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from watchnext.features.batches import UserColumns, tower_batch
from watchnext.features.state import RequestContext, UserState, encode_user
from watchnext.generation.bundle import Bundle
from watchnext.recommend.sources import SourceTables


@dataclass(frozen=True, slots=True)
class PreparedGeneration:
    """A verified bundle, its source orders, and a user tower that has run."""

    bundle: Bundle
    tables: SourceTables

    @classmethod
    def of(cls, bundle: Bundle) -> "PreparedGeneration":
        """Compute the orders and warm the tower up."""
        tables = SourceTables.of(
            bundle.videos,
            vectors=bundle.vectors,
            popular=bundle.popular,
            item_item=bundle.item_item,
            dim=bundle.tower.config.embedding_dim,  # not by when they were uploaded
        )
        prepared = cls(bundle, tables)
        context = RequestContext(now_ms=0, surface="", device="", country="", seed_video_id="")
        prepared.user_vector(UserColumns.of([encode_user(UserState.from_rows({}), context, bundle.vocabularies)]))
        return prepared

    def user_vector(self, user: UserColumns) -> NDArray[np.float32]:
        """`[dim]`, of one user; the example age is 0, the default of `tower_batch` (section 3.3 of the paper)."""
        inputs = tower_batch(user, self.bundle.videos)
        batch = {name: torch.from_numpy(column) for name, column in inputs.items()}
        with torch.inference_mode():
            return np.asarray(self.bundle.tower.user(batch)[0].numpy(), np.float32)
