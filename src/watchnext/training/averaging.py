"""The mean of a model's last weights: a training that stops anywhere ends near where its steps went, not at the last.

Exponential moving average with the start of a short training left out (its decay grows to `DECAY` with the steps). Big
embeddings keep their last weights: a step moves few of their rows, and an average would hold a second copy of all.

>>> optimiser = Averaging(ranker, learning_rate=0.001)        # doctest: +SKIP
>>> optimiser.keep_mean()                                     # after the last step  # doctest: +SKIP
"""

from collections.abc import Mapping
from typing import Any, Final

import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from watchnext.training.optimiser import Optimiser

DECAY: Final = 0.99  # of the mean at each step: it is of about the last hundred
_MEAN: Final = "mean."
_STEPS: Final = "mean_steps"


class Averaging(Optimiser):
    """An `Optimiser` that follows its model's dense weights by their mean."""

    def __init__(
        self,
        model: nn.Module,
        learning_rate: float,
        row_rate: float | None = None,
        examples: Mapping[str, NDArray[Any]] | None = None,
    ) -> None:
        super().__init__(model, learning_rate, row_rate, examples)
        big = {id(part.weight) for part in model.modules() if isinstance(part, nn.Embedding) and part.sparse}
        self._weights = {name: weight for name, weight in model.named_parameters() if id(weight) not in big}
        self._mean = {name: weight.detach().clone() for name, weight in self._weights.items()}
        self._steps = 0

    @torch.no_grad()
    def step(self) -> None:
        """Move the weights, and their mean after them."""
        super().step()
        self._steps += 1
        decay = min(DECAY, (1 + self._steps) / (10 + self._steps))
        for name, weight in self._weights.items():
            self._mean[name].lerp_(weight, 1 - decay)

    @torch.no_grad()
    def keep_mean(self) -> None:
        """Put the mean in the place of the weights."""
        for name, weight in self._weights.items():
            weight.copy_(self._mean[name])

    def tensors(self) -> dict[str, Tensor]:
        """The mean too."""
        steps = {_STEPS: torch.tensor(self._steps)}
        return super().tensors() | {_MEAN + name: value for name, value in self._mean.items()} | steps

    def load(self, tensors: Mapping[str, Tensor]) -> None:
        """Remember what another's `tensors` gave, of the same model."""
        rest = {name: value for name, value in tensors.items() if not name.startswith((_MEAN, _STEPS))}
        super().load(rest)
        for name, value in self._mean.items():
            value.copy_(tensors[_MEAN + name])
        self._steps = int(tensors[_STEPS])
