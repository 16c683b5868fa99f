import pytest
import torch

from watchnext.models.layers import embedding, pool


def table():
    layer = embedding(4, 2)
    with torch.no_grad():
        layer.weight[1:] = torch.tensor([[1.0, -1.0], [3.0, 5.0], [-2.0, 4.0]])
    return layer


BAGS = torch.tensor([[1, 2, 0, 0], [3, 0, 0, 3], [0, 0, 0, 0]], dtype=torch.int32)


@pytest.mark.parametrize(
    ("pooling", "pooled"),
    [
        ("average", [[2.0, 2.0], [-2.0, 4.0], [0.0, 0.0]]),
        ("sum", [[4.0, 4.0], [-4.0, 8.0], [0.0, 0.0]]),
        ("max", [[3.0, 5.0], [-2.0, 4.0], [0.0, 0.0]]),
    ],
)
def test_pooling_leaves_unknown_ids_out(pooling, pooled):
    torch.testing.assert_close(pool(table(), BAGS, pooling), torch.tensor(pooled))


@pytest.mark.parametrize("pooling", ["average", "sum", "max"])
def test_a_bag_has_no_order(pooling):
    assert torch.allclose(pool(table(), BAGS, pooling), pool(table(), BAGS.flip(1), pooling))


@pytest.mark.parametrize("pooling", ["average", "sum", "max"])
def test_the_unknown_stays_the_zero_vector_whatever_is_trained(pooling):
    torch.manual_seed(1)
    layer = embedding(4, 2)
    optimizer = torch.optim.Adam(layer.parameters(), lr=0.1, weight_decay=0.1)
    before = layer.weight.detach().clone()
    for _ in range(5):
        optimizer.zero_grad()
        ((pool(layer, BAGS, pooling) - 1).square().sum() + (layer(BAGS) - 1).square().sum()).backward()
        optimizer.step()
    assert layer.weight[0].tolist() == [0.0, 0.0]
    assert not torch.allclose(layer.weight[1:], before[1:])


def test_pool_gives_the_average_by_default():
    assert pool(table(), BAGS)[0].tolist() == [2.0, 2.0]
