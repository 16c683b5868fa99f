"""What follows the last watch: a block of self-attention over the watches, asked by the newest (SASRec, 2018).

Of the block's outputs the next watch needs that of the newest place alone: its questions are asked of the watches as
they are, and the answers mixed, in place of a key and a value of each watch. By algebra that is the same: q · (K y) is
(Kᵀ q) · y, and Σ a (V y) is V (Σ a y); it saves two matrix products a watch.
"""

import torch
from torch import Tensor, nn

from watchnext.models.layers import Gathered

HEADS = 4
DROPOUT = 0.2
NEAR_ZERO = 0.02  # spread of the places' vectors at the start


class NewestAsks(nn.Module):
    """Bags of ids, newest first with zeros at the end, to a vector each, by order and by what is in them."""

    def __init__(self, width: int, places: int) -> None:
        super().__init__()
        self.place = nn.Parameter(torch.randn(places, width) * NEAR_ZERO)
        self.norm = nn.LayerNorm(width)
        self.questions = nn.Linear(width, HEADS * width)
        self.answers = nn.Linear(HEADS * width, width)
        self.dropout = nn.Dropout(DROPOUT)
        self.layers = nn.Sequential(
            nn.LayerNorm(width), nn.Linear(width, 2 * width), nn.ReLU(), self.dropout, nn.Linear(2 * width, width)
        )

    def forward(self, table: nn.Embedding | Gathered, ids: Tensor) -> Tensor:
        """`[bags, places]` to `[bags, width]`."""
        watches = self.norm(table(ids) + self.place)  # (B, L, W)
        unknown = ids == 0
        unknown[:, 0] = False  # the newest itself, which an empty bag is left with
        asked = self.questions(watches[:, 0]).unflatten(1, (HEADS, -1))  # (B, H, W)
        scores = asked @ watches.transpose(1, 2) * watches.shape[2] ** -0.5
        weights = scores.masked_fill(unknown[:, None], -torch.inf).softmax(dim=2)  # (B, H, L)
        mixed = self.dropout(self.answers((weights @ watches).flatten(1)))
        vector: Tensor = mixed + self.layers(mixed)
        return vector
