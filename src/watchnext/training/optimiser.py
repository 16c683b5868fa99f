"""How weights move: row-wise Adagrad for the big embeddings, Adam for everything else.

A step reads and writes only the rows of a big embedding that its batch looked up, and keeps one float a row: the
running sum of the squared gradient's mean over the row. Adam would keep two floats a weight, and move them all.

Where it is told how many examples show each row, a row moves at a share of the rate, n / (n + `HALFWAY`): one that few
examples show stays near where it started, one that many show goes where they lead it (docs/adr/0039).

Of an id of width 64, training holds 4 · 64 bytes of weights and 4 of accumulator; Adam would hold another 4 · 64 · 2,
and a dense gradient 4 · 64 more.

No rule is a `torch.optim.Optimizer`: the first of these imports torch's compiler, which nothing here asks for and which
costs a process over two seconds. Adam is torch's own function of weights, gradients and state.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from typing import Any, Final

import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.optim.adam import adam

ROW_RATE: Final = 20.0  # learning rate of the rows, in that of Adam: Adagrad's steps shrink as gradients add up
HALFWAY: Final = 500.0  # examples of a row that moves at half the rate
EPSILON: Final = 1e-8
BETAS: Final = (0.9, 0.999)  # Adam's decay of the mean gradient and of its square


class Rule(ABC):
    """How some weights move at learning rate `lr`, with what is remembered of each between steps."""

    def __init__(self, weights: Iterable[nn.Parameter], lr: float) -> None:
        self.weights, self.lr = list(weights), lr
        self.state = [self.fresh(weight) for weight in self.weights]

    @abstractmethod
    def fresh(self, weight: nn.Parameter) -> dict[str, Tensor]:
        """What is remembered of a weight before the first step."""

    @abstractmethod
    def step(self) -> None:
        """Move what has a gradient."""

    def zero_grad(self) -> None:
        """Forget the gradients."""
        for weight in self.weights:
            weight.grad = None


class Adam(Rule):
    """Adam on dense gradients, by torch's fused kernel."""

    def fresh(self, weight: nn.Parameter) -> dict[str, Tensor]:
        """Two means of the weight's shape, and the number of steps."""
        steps = torch.zeros((), dtype=torch.float32, device=weight.device)
        return {"step": steps, "exp_avg": torch.zeros_like(weight), "exp_avg_sq": torch.zeros_like(weight)}

    @torch.no_grad()
    def step(self) -> None:
        """Move the weights that have a gradient."""
        pairs = zip(self.weights, self.state, strict=True)
        moved = [(weight, weight.grad, state) for weight, state in pairs if weight.grad is not None]
        adam(
            [weight for weight, _, _ in moved],
            [gradient for _, gradient, _ in moved],
            [state["exp_avg"] for _, _, state in moved],
            [state["exp_avg_sq"] for _, _, state in moved],
            [],
            [state["step"] for _, _, state in moved],
            fused=True,
            amsgrad=False,
            beta1=BETAS[0],
            beta2=BETAS[1],
            lr=self.lr,
            weight_decay=0.0,
            eps=EPSILON,
            maximize=False,
        )


class RowWiseAdagrad(Rule):
    """Adagrad with one accumulator a row, on sparse gradients: of weights `[rows, width]`.

    `shares` are those of the rate at which the rows of each weight move, `[rows]`; None: all at the whole rate.
    """

    def __init__(self, weights: Iterable[nn.Parameter], lr: float, shares: Iterable[Tensor | None]) -> None:
        super().__init__(weights, lr)
        self._shares = [
            share if share is None else share.to(weight.device)
            for weight, share in zip(self.weights, shares, strict=True)
        ]

    def fresh(self, weight: nn.Parameter) -> dict[str, Tensor]:
        """A float a row."""
        return {"sum": torch.zeros(len(weight), dtype=torch.float32, device=weight.device)}

    @torch.no_grad()
    def step(self) -> None:
        """Move the rows that have a gradient."""
        for table, state, share in zip(self.weights, self.state, self._shares, strict=True):
            if table.grad is not None:
                self._move(table, *_summed(table.grad, table), state["sum"], share)

    def _move(self, table: nn.Parameter, rows: Tensor, values: Tensor, total: Tensor, share: Tensor | None) -> None:
        total.index_add_(0, rows, values.square().mean(dim=1))
        scale = total[rows].sqrt_().add_(EPSILON).reciprocal_().mul_(-self.lr)
        if share is not None:
            scale.mul_(share[rows])
        table.index_add_(0, rows, values * scale.unsqueeze(1))


def _shares(examples: NDArray[Any] | None) -> Tensor | None:
    """Of the rate, by how many examples show a row."""
    if examples is None:
        return None
    shown = torch.from_numpy(examples).float()
    return shown / (shown + HALFWAY)


def _summed(gradient: Tensor, table: Tensor) -> tuple[Tensor, Tensor]:
    """Rows `[U]` of a sparse gradient and their sums `[U, width]`, each row once.

    Of a table with fewer rows than the batch looked up: all rows, since sorting the lookups costs more.
    """
    if gradient._nnz() < len(table):
        gradient = gradient.coalesce()
        return gradient.indices()[0], gradient.values()
    sums = torch.zeros_like(table).index_add_(0, gradient._indices()[0], gradient._values())
    return torch.arange(len(table), device=table.device), sums


class Optimiser:
    """The two rules over one model, as one."""

    def __init__(
        self,
        model: nn.Module,
        learning_rate: float,
        row_rate: float | None = None,
        examples: Mapping[str, NDArray[Any]] | None = None,
    ) -> None:
        """What moves all weights of a model.

        Args:
            model: whose.
            learning_rate: of all but the big embeddings.
            row_rate: of those; `ROW_RATE` times that of the rest, unless told.
            examples: how many show each row of an embedding, `[rows]`, by the embedding's name in the model; the rows
                of one that is not named all move at the whole rate.
        """
        big = {  # name of the weight to that of its embedding
            f"{name}.weight": name
            for name, part in model.named_modules()
            if isinstance(part, nn.Embedding) and part.sparse
        }
        named = dict(model.named_parameters())
        rest = [parameter for name, parameter in named.items() if name not in big]
        self._rules: list[Rule] = [Adam(rest, lr=learning_rate)]
        if big:
            shares = [_shares((examples or {}).get(name)) for name in big.values()]
            rate = learning_rate * ROW_RATE if row_rate is None else row_rate
            self._rules.append(RowWiseAdagrad([named[weight] for weight in big], rate, shares))

    def zero_grad(self) -> None:
        """Forget the gradients."""
        for rule in self._rules:
            rule.zero_grad()

    def step(self) -> None:
        """Move every weight that has a gradient."""
        for rule in self._rules:
            rule.step()

    def tensors(self) -> dict[str, Tensor]:
        """All that it remembers between steps."""
        return {
            f"{number}.{index}.{name}": value
            for number, rule in enumerate(self._rules)
            for index, state in enumerate(rule.state)
            for name, value in state.items()
        }

    def load(self, tensors: Mapping[str, Tensor]) -> None:
        """Remember what another's `tensors` gave, of the same model."""
        for key, value in tensors.items():
            number, index, name = key.split(".")
            self._rules[int(number)].state[int(index)][name].copy_(value)
