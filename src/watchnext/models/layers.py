"""Parts that towers and ranker share: embeddings whose row 0 stays zero, pooled bags, ReLU stacks."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from watchnext.models.config import Sizes, embedding_width

HOURS = 25  # of the day from 1, and the padding 0
SPARSE_ROWS = 1_000  # from here on, a step's gradient holds only the rows that it looked up
Amend = Callable[[dict[str, Tensor]], dict[str, Tensor]]  # a batch as a comparison wants it (`training.ablation`)

_MODES: dict[str, str] = {"average": "mean", "sum": "sum"}


def as_tensors(batch: Mapping[str, NDArray[Any]], device: str | torch.device = "cpu") -> dict[str, Tensor]:
    """The arrays of `features.batches` as tensors, without a copy on a CPU where the array allows it."""
    return {
        name: (torch.from_numpy(array) if array.flags.writeable else torch.tensor(array)).to(device)
        for name, array in batch.items()
    }


def embedding(size: int, width: int) -> nn.Embedding:
    """`size` rows; row 0, the unknown, is the zero vector and never trains."""
    table = nn.Embedding(size, width, padding_idx=0, sparse=size >= SPARSE_ROWS)
    with torch.no_grad():
        table.weight.normal_(0.0, width**-0.5)
        table.weight[0] = 0.0
    return table


def sized_embedding(size: int) -> nn.Embedding:
    """An embedding of `size` rows, as wide as their logarithm asks (`embedding_width`)."""
    return embedding(size, embedding_width(size))


def context_embeddings(sizes: Sizes) -> nn.ModuleDict:
    """One embedding for each categorical input of a user and a request, by its name in the batch."""
    return nn.ModuleDict(
        {
            "country": sized_embedding(sizes.countries),
            "device": sized_embedding(sizes.devices),
            "gender": sized_embedding(sizes.genders),
            "surface": sized_embedding(sizes.surfaces),
            "hour": sized_embedding(HOURS),
        }
    )


def width_of(*tables: nn.Embedding | nn.ModuleDict) -> int:
    """Columns that these embeddings give together, one lookup each."""
    return sum(part.embedding_dim for table in tables for part in table.modules() if isinstance(part, nn.Embedding))


@dataclass(frozen=True)
class Gathered:
    """Some rows of an embedding, and used like it; row 0 is the unknown."""

    weight: Tensor  # [rows, width]
    sparse: ClassVar[bool] = False  # its gradient, which becomes the sparse one of the whole embedding

    def __call__(self, ids: Tensor) -> Tensor:
        """`[...]` to `[..., width]`."""
        return functional.embedding(ids, self.weight, padding_idx=0)


def gathered(table: nn.Embedding, *ids: Tensor) -> tuple[nn.Embedding | Gathered, list[Tensor]]:
    """The rows that a training step asks of a big embedding, each once, and `ids` as places among them.

    Asked one after the other, each of `ids` would leave a sparse gradient of a row a lookup, and adding those is
    copying them. Small embeddings, and all outside of training, are given back as they are.
    """
    if not (table.sparse and torch.is_grad_enabled()):
        return table, list(ids)
    flat = torch.cat([ids[0].new_zeros(1), *(one.flatten() for one in ids)])  # 0 sorts first: it stays 0
    rows, places = torch.unique(flat, return_inverse=True)
    parts = places[1:].split([one.numel() for one in ids])
    return Gathered(table(rows)), [part.view(one.shape) for part, one in zip(parts, ids, strict=True)]


def pool(table: nn.Embedding | Gathered, ids: Tensor, mode: str = "average") -> Tensor:
    """Average, sum or max of a bag's embeddings without its zeros: `[bags, length]` to `[bags, width]`.

    An empty bag is the zero vector.
    """
    if mode == "max":
        return _maximum(table(ids), ids)
    return functional.embedding_bag(ids, table.weight, mode=_MODES[mode], padding_idx=0, sparse=table.sparse)


def _maximum(vectors: Tensor, ids: Tensor) -> Tensor:
    """Written out, since `embedding_bag` has no sparse gradient of a maximum."""
    known = (ids != 0).unsqueeze(2)  # (B, L, 1)
    highest = vectors.masked_fill(~known, torch.finfo(vectors.dtype).min).max(dim=1).values
    return highest * known.any(dim=1)


def warm_start(table: nn.Embedding, vectors: Tensor) -> None:
    """Set the embeddings that have a vector `[rows, width]` of other than zeros; the rest stay as they are."""
    with torch.no_grad():
        given = vectors.abs().sum(dim=1, keepdim=True) > 0
        table.weight.copy_(torch.where(given, vectors, table.weight))


def relu_stack(inputs: int, hidden: Sequence[int], dropout: float = 0.0) -> nn.Sequential:
    """Linear layers of the widths `hidden`, each followed by a ReLU (He initialisation), and by dropout if any."""
    layers: list[nn.Module] = []
    for width in hidden:
        linear = nn.Linear(inputs, width)
        nn.init.kaiming_normal_(linear.weight, nonlinearity="relu")
        nn.init.zeros_(linear.bias)
        layers += [linear, nn.ReLU(), *([nn.Dropout(dropout)] if dropout else [])]
        inputs = width
    return nn.Sequential(*layers)
