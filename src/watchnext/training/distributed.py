"""One training by many processes: each takes its part of every batch, and all make the same step.

    torchrun --nproc-per-node 2 -m watchnext.training.main towers EXAMPLES FOLDER

Every process holds the whole model. Of a big embedding's gradient only the rows of the batch travel; what is dense is
summed in one buffer. The batch of a step is the same whatever the number of processes, and so are the weights after it,
but for rounding and dropout.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

import torch
import torch.distributed as dist
from numpy.typing import NDArray
from torch import Tensor, nn

from watchnext.errors import DataError


@dataclass(frozen=True)
class Share:
    """Which process this is, of how many."""

    rank: int = 0
    world: int = 1

    @property
    def first(self) -> bool:
        """Whether it is the one that logs and writes."""
        return self.rank == 0

    def of(self, examples: NDArray[Any]) -> NDArray[Any]:
        """Its part of a batch's examples."""
        return examples[self.rank :: self.world]


ALONE: Final = Share()


@contextmanager
def joined() -> Iterator[Share]:
    """The share of this process, in the group of all that `torchrun` started with it; alone without `torchrun`."""
    if not dist.is_torchelastic_launched():
        yield ALONE
        return
    dist.init_process_group("nccl" if torch.cuda.is_available() else "gloo")
    try:
        yield Share(dist.get_rank(), dist.get_world_size())
    finally:
        dist.destroy_process_group()


def check_same_step(step: int, share: Share, device: torch.device) -> None:
    """All processes go on from one step.

    Raises:
        DataError: they do not.
    """
    if share.world == 1:
        return
    steps = torch.zeros(share.world, dtype=torch.int64, device=device)
    steps[share.rank] = step
    dist.all_reduce(steps)
    if len(set(steps.tolist())) > 1:
        raise DataError(
            f"the processes would go on from the steps {steps.tolist()}; wanted one: do all mount the same "
            "<home>/checkpoints?"
        )


def start_alike(model: nn.Module, share: Share) -> None:
    """Give every process the weights of the first one.

    Each has made them itself, of one seed; but processors of different kinds round differently, and the decomposition
    that ids start at then comes with other signs.
    """
    if share.world > 1:
        for weights in model.state_dict().values():
            dist.broadcast(weights, src=0)


def mean_over_all(parameters: Iterable[nn.Parameter], loss: Tensor, examples: int, share: Share) -> tuple[float, int]:
    """Make every gradient that of the whole batch's mean loss; that loss, and the examples of all processes.

    Args:
        parameters: those of the model, the same in every process, after `backward`.
        loss: mean over this process's examples.
        examples: how many they are, at least 1.
        share: this process's.
    """
    if share.world == 1:
        return loss.item(), examples
    moved = [(parameter, parameter.grad) for parameter in parameters if parameter.grad is not None]
    dense = [gradient for _, gradient in moved if not gradient.is_sparse]
    ours = torch.cat([loss.detach().reshape(1), *(gradient.flatten() for gradient in dense)]) * examples
    sums = torch.cat([ours, ours.new_tensor([examples])])
    dist.all_reduce(sums)
    total = int(sums[-1])
    means = sums / total
    start = 1
    for gradient in dense:
        gradient.copy_(means[start : start + gradient.numel()].view_as(gradient))
        start += gradient.numel()
    for parameter, gradient in moved:
        if gradient.is_sparse:
            parameter.grad = _sum_of_rows(gradient * (examples / total), share.world)
    return float(means[0]), total


def _sum_of_rows(gradient: Tensor, world: int) -> Tensor:
    """The sum of all processes' sparse gradients of a table."""
    gradient = gradient.coalesce()
    rows, values = gradient.indices()[0], gradient.values()  # (U), (U, W)
    lengths = _gathered(torch.tensor([len(rows)], device=rows.device), world)
    longest = int(torch.cat(lengths).max())
    padded_rows = rows.new_zeros(longest)
    padded_rows[: len(rows)] = rows
    padded_values = values.new_zeros(longest, values.shape[1])
    padded_values[: len(rows)] = values
    all_rows = [part[: int(length)] for part, length in zip(_gathered(padded_rows, world), lengths, strict=True)]
    all_values = [part[: int(length)] for part, length in zip(_gathered(padded_values, world), lengths, strict=True)]
    return torch.sparse_coo_tensor(
        torch.cat(all_rows).unsqueeze(0), torch.cat(all_values), gradient.shape, check_invariants=False
    )


def _gathered(tensor: Tensor, world: int) -> list[Tensor]:
    parts = [torch.empty_like(tensor) for _ in range(world)]
    dist.all_gather(parts, tensor)
    return parts
