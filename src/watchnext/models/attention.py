"""What follows the last watch: a block of self-attention over the watches, asked by the newest (SASRec, 2018).

Of the block's outputs the next watch needs that of the newest place alone: one query a user is asked, not one a watch.
"""

import torch
from torch import Tensor, nn

DROPOUT = 0.2
NEAR_ZERO = 0.02  # spread of the places' vectors at the start


class NewestAsks(nn.Module):
    """Bags of ids, newest first with zeros at the end, to a vector each, by order and by what is in them."""

    def __init__(self, width: int, places: int) -> None:
        super().__init__()
        self.place = nn.Parameter(torch.randn(places, width) * NEAR_ZERO)
        self.norm = nn.LayerNorm(width)
        self.attention = nn.MultiheadAttention(width, num_heads=1, batch_first=True)
        self.dropout = nn.Dropout(DROPOUT)
        self.layers = nn.Sequential(
            nn.LayerNorm(width), nn.Linear(width, 2 * width), nn.ReLU(), self.dropout, nn.Linear(2 * width, width)
        )

    def forward(self, table: nn.Embedding, ids: Tensor) -> Tensor:
        """`[bags, places]` to `[bags, width]`."""
        watches = self.norm(table(ids) + self.place)  # (B, L, W)
        unknown = ids == 0
        unknown[:, 0] = False  # the query itself, which an empty bag is left with
        answer, _ = self.attention(watches[:, :1], watches, watches, key_padding_mask=unknown, need_weights=False)
        mixed = self.dropout(answer.squeeze(1))
        vector: Tensor = mixed + self.layers(mixed)
        return vector
