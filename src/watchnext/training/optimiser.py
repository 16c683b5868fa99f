"""How weights move: row-wise Adagrad for the big embeddings, Adam for everything else.

A step reads and writes only the rows of a big embedding that its batch looked up, and keeps one float a row: the
running sum of the squared gradient's mean over the row. Adam would keep two floats a weight, and move them all.

Of an id of width 64, training holds 4 · 64 bytes of weights and 4 of accumulator; Adam would hold another 4 · 64 · 2,
and a dense gradient 4 · 64 more.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Final

import torch
from torch import Tensor, nn

ROW_RATE: Final = 20.0  # learning rate of the rows, in that of Adam: Adagrad's steps shrink as gradients add up
EPSILON: Final = 1e-8


class RowWiseAdagrad(torch.optim.Optimizer):
    """Adagrad with one accumulator a row, on sparse gradients: of weights `[rows, width]`."""

    def __init__(self, tables: Iterable[nn.Parameter], lr: float) -> None:
        super().__init__(tables, {"lr": lr})
        for table in self.tables:
            self.state[table]["sum"] = torch.zeros(len(table), dtype=torch.float32, device=table.device)

    @property
    def tables(self) -> list[nn.Parameter]:
        """What it moves."""
        return [table for group in self.param_groups for table in group["params"]]

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """Move the rows that have a gradient."""
        for group in self.param_groups:
            for table in group["params"]:
                if table.grad is not None:
                    self._move(table, *_summed(table.grad, table), group["lr"])

    def _move(self, table: nn.Parameter, rows: Tensor, values: Tensor, rate: float) -> None:
        total = self.state[table]["sum"]
        total.index_add_(0, rows, values.square().mean(dim=1))
        scale = total[rows].sqrt_().add_(EPSILON).reciprocal_().mul_(-rate)
        table.index_add_(0, rows, values * scale.unsqueeze(1))


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

    def __init__(self, model: nn.Module, learning_rate: float, row_rate: float | None = None) -> None:
        """`row_rate` of the big embeddings is `ROW_RATE` times that of the rest, unless told."""
        tables = {id(part.weight) for part in model.modules() if isinstance(part, nn.Embedding) and part.sparse}
        parameters = list(model.parameters())
        big = [parameter for parameter in parameters if id(parameter) in tables]
        rest = [parameter for parameter in parameters if id(parameter) not in tables]
        self._rules: list[torch.optim.Optimizer] = [torch.optim.Adam(rest, lr=learning_rate, fused=True)]
        if big:
            self._rules.append(RowWiseAdagrad(big, lr=learning_rate * ROW_RATE if row_rate is None else row_rate))

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
            for index, state in rule.state_dict()["state"].items()
            for name, value in state.items()
        }

    def load(self, tensors: Mapping[str, Tensor]) -> None:
        """Remember what another's `tensors` gave, of the same model."""
        states: list[dict[int, dict[str, Tensor]]] = [{} for _ in self._rules]
        for key, value in tensors.items():
            number, index, name = key.split(".")
            states[int(number)].setdefault(int(index), {})[name] = value
        for rule, state in zip(self._rules, states, strict=True):
            rule.load_state_dict({**rule.state_dict(), "state": state})
