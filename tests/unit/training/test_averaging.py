"""The mean of weights, by a loss whose gradient is 1 everywhere: plain steps would be told apart from their mean."""

import pytest
import torch
from torch import nn

from watchnext.models.layers import embedding
from watchnext.training.averaging import Averaging


def stepped(optimiser: Averaging, model: nn.Module, steps: int) -> None:
    for _ in range(steps):
        optimiser.zero_grad()
        sum(weight.sum() for weight in model.parameters()).backward()  # type: ignore[union-attr]
        optimiser.step()


def line() -> nn.Linear:
    model = nn.Linear(1, 1, bias=False)
    nn.init.zeros_(model.weight)
    return model


def test_the_mean_by_hand() -> None:
    model = line()
    optimiser = Averaging(model, learning_rate=0.1)  # Adam with an even gradient: each step is -0.1
    stepped(optimiser, model, 2)
    assert model.weight.item() == pytest.approx(-0.2, rel=1e-5)
    optimiser.keep_mean()
    first = -0.1 * (1 - 2 / 11)
    assert model.weight.item() == pytest.approx(first + (-0.2 - first) * (1 - 3 / 12), rel=1e-5)


def test_after_many_steps_the_mean_is_of_about_the_last_hundred() -> None:
    model = line()
    optimiser = Averaging(model, learning_rate=0.001)
    stepped(optimiser, model, 3_000)
    optimiser.keep_mean()
    assert model.weight.item() == pytest.approx(-0.001 * (3_000 - 99), rel=1e-3)  # 0.99 / (1 - 0.99) steps behind


def test_a_big_embedding_keeps_its_last_weights() -> None:
    table = embedding(1_000, 2)
    model = nn.Sequential(table, nn.Linear(2, 1))
    optimiser = Averaging(model, learning_rate=0.1)
    last = []
    for _ in range(3):
        optimiser.zero_grad()
        model(torch.tensor([1, 2])).sum().backward()
        optimiser.step()
        last.append(table.weight.detach().clone())
    optimiser.keep_mean()
    assert torch.equal(table.weight, last[-1])
    assert not torch.equal(last[-1], last[0])
    assert [name for name in optimiser.tensors() if name.startswith("mean.")] == ["mean.1.weight", "mean.1.bias"]


def test_a_training_that_was_cut_ends_with_the_same_mean() -> None:
    whole = line()
    at_once = Averaging(whole, learning_rate=0.1)
    stepped(at_once, whole, 7)
    at_once.keep_mean()

    first, second = line(), line()
    before = Averaging(first, learning_rate=0.1)
    stepped(before, first, 4)
    second.load_state_dict(first.state_dict())
    after = Averaging(second, learning_rate=0.1)
    after.load({name: value.clone() for name, value in before.tensors().items()})
    stepped(after, second, 3)
    after.keep_mean()
    assert second.weight.item() == whole.weight.item()
