from collections.abc import Callable
from functools import partial

import numpy as np
import pytest
import torch
from torch import nn

from watchnext.models.attention import NewestAsks
from watchnext.models.layers import SPARSE_ROWS, embedding, gathered, pool
from watchnext.training.optimiser import HALFWAY, ROW_RATE, Adam, Optimiser, RowWiseAdagrad

WIDTH = 3


def bag_of(pooling: str) -> Callable[[nn.Embedding, torch.Tensor], torch.Tensor]:
    if pooling == "attention":
        return NewestAsks(WIDTH, places=4).eval()
    return partial(pool, mode=pooling)


def table_of(rows: list[list[float]]) -> nn.Parameter:
    return nn.Parameter(torch.tensor(rows))


def gradient(rows: list[int], values: list[list[float]], size: int) -> torch.Tensor:
    return torch.sparse_coo_tensor(
        torch.tensor([rows]), torch.tensor(values), (size, len(values[0])), check_invariants=True
    )


@pytest.mark.parametrize("lookups", [2, 3])  # of a table of three rows: fewer than rows, and as many
def test_a_row_moves_by_its_gradient_over_the_root_of_its_mean_squares(lookups):
    table = table_of([[0.0, 0.0], [1.0, 1.0], [2.0, 2.0]])
    rule = RowWiseAdagrad([table], lr=0.5, shares=[None])

    rest = [[0.0, 0.0]] * (lookups - 2)
    # Row 1 is twice in the batch: (3, 4), mean square 12.5.
    table.grad = gradient([1, 1, 1][:lookups], [[1.0, 1.0], [2.0, 3.0], *rest], size=3)
    rule.step()
    table.grad = gradient([1, 2, 2][:lookups], [[0.0, 5.0], [2.0, 2.0], *rest], size=3)  # 12.5 + 12.5 and 4
    rule.step()

    first = [1 - 0.5 * 3 / 12.5**0.5, 1 - 0.5 * 4 / 12.5**0.5]
    wanted = [[0.0, 0.0], [first[0], first[1] - 0.5 * 5 / 25**0.5], [1.5, 1.5]]
    np.testing.assert_allclose(table.detach(), wanted, rtol=1e-6)


@pytest.mark.parametrize("pooling", ["average", "sum", "max", "attention"])
def test_big_and_small_tables_have_the_same_gradients(pooling):
    sparse, dense = embedding(SPARSE_ROWS, WIDTH), nn.Embedding(SPARSE_ROWS, WIDTH, padding_idx=0)
    dense.load_state_dict(sparse.state_dict())
    ids = torch.tensor([[7, 9, 7, 0], [9, 0, 0, 0], [0, 0, 0, 0], [999, 3, 5, 7]], dtype=torch.int32)
    wanted = torch.linspace(-1, 1, 4 * WIDTH).reshape(4, WIDTH)
    for table in (sparse, dense):
        torch.manual_seed(6)
        bag = bag_of(pooling)
        ((bag(table, ids) - wanted).square().sum() + table(ids[0]).square().sum()).backward()
    assert sparse.weight.grad.is_sparse
    assert not dense.weight.grad.is_sparse
    torch.testing.assert_close(sparse.weight.grad.to_dense(), dense.weight.grad)


@pytest.mark.parametrize("pooling", ["average", "sum", "max", "attention"])
def test_rows_gathered_once_give_the_vectors_and_gradients_of_lookups_one_after_the_other(pooling):
    one, other = embedding(SPARSE_ROWS, WIDTH), embedding(SPARSE_ROWS, WIDTH)
    other.load_state_dict(one.state_dict())
    bags = torch.tensor([[7, 9, 7, 0], [9, 0, 0, 0], [0, 0, 0, 0], [999, 3, 5, 7]], dtype=torch.int32)
    single = torch.tensor([0, 7, 999, 12], dtype=torch.int32)
    torch.manual_seed(6)
    bag = bag_of(pooling)
    torch.manual_seed(6)
    alone = bag_of(pooling)

    table, (places, place) = gathered(one, bags, single)
    together = bag(table, places), table(place)
    apart = alone(other, bags), other(single)
    for vectors in (together, apart):
        (vectors[0].square().sum() + (vectors[1] - 1).square().sum()).backward()

    torch.testing.assert_close(together, apart)
    torch.testing.assert_close(one.weight.grad.to_dense(), other.weight.grad.to_dense())
    assert sorted(one.weight.grad._indices()[0].tolist()) == [3, 5, 7, 9, 12, 999]  # each once


def test_nothing_is_gathered_of_small_tables_and_where_nothing_is_learnt():
    ids = torch.tensor([3, 1])
    small, big = embedding(SPARSE_ROWS - 1, WIDTH), embedding(SPARSE_ROWS, WIDTH)
    assert gathered(small, ids)[0] is small
    with torch.no_grad():
        table, (same,) = gathered(big, ids)
    assert table is big
    assert same is ids


@pytest.mark.parametrize("pooling", ["average", "max"])
def test_training_a_big_table_follows_a_dense_loop_of_the_formula(pooling):
    """The oracle keeps whole gradients, of a table without sparse ones, and NumPy does the arithmetic."""
    torch.manual_seed(5)
    table, bag = embedding(SPARSE_ROWS, WIDTH), bag_of(pooling)
    oracle = table.weight.detach().numpy().copy()
    sums = np.zeros(SPARSE_ROWS)
    rule = RowWiseAdagrad([table.weight], lr=0.3, shares=[None])
    for _ in range(10):
        ids = torch.randint(0, 40, (6, 8), dtype=torch.int32)  # row 0, the padding, among them
        wanted = torch.randn(6, WIDTH)
        rule.zero_grad()
        (bag(table, ids) - wanted).square().sum().backward()
        rule.step()

        dense = nn.Embedding.from_pretrained(torch.from_numpy(oracle.copy()), freeze=False, padding_idx=0)
        (bag(dense, ids) - wanted).square().sum().backward()
        whole = dense.weight.grad.numpy()
        sums += np.square(whole).mean(axis=1)
        oracle -= 0.3 * whole / np.sqrt(np.maximum(sums, 1e-12))[:, None].astype(np.float32)
    np.testing.assert_allclose(table.weight.detach(), oracle, rtol=1e-4, atol=1e-6)
    assert table.weight[0].tolist() == [0.0] * WIDTH


def test_dense_weights_move_as_by_torchs_optimiser_to_the_bit():
    torch.manual_seed(7)
    ours, theirs = nn.Linear(4, 3), nn.Linear(4, 3)
    theirs.load_state_dict(ours.state_dict())
    rule, oracle = Adam(ours.parameters(), lr=0.01), torch.optim.Adam(theirs.parameters(), lr=0.01, fused=True)
    for step in range(10):
        batch = torch.randn(5, 4)
        for layer, optimiser in ((ours, rule), (theirs, oracle)):
            optimiser.zero_grad()
            layer(batch).square().mean().backward()
            if step % 3 == 2:
                layer.bias.grad = None  # a weight without a gradient stays, and its steps are not counted
            optimiser.step()
    assert torch.equal(ours.weight, theirs.weight)
    assert torch.equal(ours.bias, theirs.bias)


class Model(nn.Module):
    """A big table, a small one, and a layer."""

    def __init__(self) -> None:
        super().__init__()
        self.big, self.small, self.layer = embedding(SPARSE_ROWS, 4), embedding(10, 4), nn.Linear(4, 1)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        return self.layer(self.big(ids) + self.small(ids % 10)).square().mean()


def trained(model: Model, optimiser: Optimiser, steps: range) -> None:
    for step in steps:
        optimiser.zero_grad()
        model(torch.tensor([step, step + 1, 500 - step])).backward()
        optimiser.step()


def test_a_big_table_costs_one_float_an_id_beside_its_weights():
    model = Model()
    optimiser = Optimiser(model, learning_rate=0.01)
    trained(model, optimiser, range(1, 3))
    floats = sum(value.numel() for value in optimiser.tensors().values() if value.dim())
    rest = model.small.weight.numel() + model.layer.weight.numel() + model.layer.bias.numel()
    assert floats == SPARSE_ROWS + 2 * rest


@pytest.mark.parametrize(("told", "rate"), [(None, 0.01 * ROW_RATE), (0.03, 0.03)])
def test_each_weight_is_moved_by_its_rule(told, rate):
    torch.manual_seed(2)
    model = Model()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    trained(model, Optimiser(model, learning_rate=0.01, row_rate=told), range(1, 2))
    moved = {name: (value - before[name]).abs() for name, value in model.state_dict().items()}
    looked_up = moved["big.weight"].sum(dim=1).nonzero().squeeze(1).tolist()
    assert looked_up == [1, 2, 499]
    root_mean_squares = moved["big.weight"][looked_up].square().mean(dim=1).sqrt()
    torch.testing.assert_close(root_mean_squares, torch.full((3,), rate), rtol=1e-4, atol=0)  # the first
    torch.testing.assert_close(moved["layer.bias"], torch.tensor([0.01]), rtol=1e-3, atol=0)  # step of each rule


def test_a_row_moves_by_the_share_of_its_examples():
    torch.manual_seed(2)
    model = Model()
    before = model.big.weight.detach().clone()
    examples = np.zeros(SPARSE_ROWS)
    examples[[2, 499]] = HALFWAY, 3 * HALFWAY
    trained(model, Optimiser(model, learning_rate=0.01, row_rate=0.1, examples={"big": examples}), range(1, 2))
    moved = (model.big.weight - before).square().mean(dim=1).sqrt()[[1, 2, 499]]  # what the batch looked up
    torch.testing.assert_close(moved, torch.tensor([0.0, 0.05, 0.075]), rtol=1e-4, atol=0)


def test_what_it_remembers_can_be_handed_on():
    torch.manual_seed(3)
    model, other = Model(), Model()
    optimiser, next_one = Optimiser(model, learning_rate=0.01), Optimiser(other, learning_rate=0.01)
    trained(model, optimiser, range(1, 4))
    other.load_state_dict(model.state_dict())
    next_one.load({name: value.clone() for name, value in optimiser.tensors().items()})
    trained(model, optimiser, range(4, 7))
    trained(other, next_one, range(4, 7))
    for name, value in model.state_dict().items():
        assert torch.equal(value, other.state_dict()[name]), name
