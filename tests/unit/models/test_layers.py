import pytest
import torch

from watchnext.models.layers import Bag, embedding, pool


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
        ("attention", [[2.0, 2.0], [-2.0, 4.0], [0.0, 0.0]]),  # its query starts at zero: the average
    ],
)
def test_pooling_leaves_unknown_ids_out(pooling, pooled):
    torch.testing.assert_close(Bag(2, pooling)(table(), BAGS), torch.tensor(pooled))


def test_attention_weighs_by_its_query():
    bag = Bag(2, "attention")
    with torch.no_grad():
        bag.query.copy_(torch.tensor([50.0, 0.0]))
    assert bag(table(), BAGS)[0].tolist() == pytest.approx([3.0, 5.0])


@pytest.mark.parametrize("pooling", ["average", "sum", "max", "attention"])
def test_a_bag_has_no_order(pooling):
    torch.manual_seed(1)
    bag, layer = Bag(2, pooling), table()
    if bag.query is not None:
        torch.nn.init.normal_(bag.query)
    assert torch.allclose(bag(layer, BAGS), bag(layer, BAGS.flip(1)))


@pytest.mark.parametrize("pooling", ["average", "sum", "max", "attention"])
def test_the_unknown_stays_the_zero_vector_whatever_is_trained(pooling):
    torch.manual_seed(1)
    layer, bag = embedding(4, 2), Bag(2, pooling)
    optimizer = torch.optim.Adam([*layer.parameters(), *bag.parameters()], lr=0.1, weight_decay=0.1)
    before = layer.weight.detach().clone()
    for _ in range(5):
        optimizer.zero_grad()
        ((bag(layer, BAGS) - 1).square().sum() + (layer(BAGS) - 1).square().sum()).backward()
        optimizer.step()
    assert layer.weight[0].tolist() == [0.0, 0.0]
    assert not torch.allclose(layer.weight[1:], before[1:])


def test_pool_gives_the_average_by_default():
    assert pool(table(), BAGS)[0].tolist() == [2.0, 2.0]
