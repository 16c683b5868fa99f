import numpy as np
import pytest
import torch

from tests.unit.models.model_world import encoded, towers, user_inputs
from watchnext.models.attention import HEADS, NewestAsks
from watchnext.models.layers import embedding

WIDTH, PLACES = 4, 5


def block():
    torch.manual_seed(3)
    asks = NewestAsks(WIDTH, PLACES).eval()
    torch.nn.init.normal_(asks.place)
    return asks, embedding(10, WIDTH)


def of(asks, table, bag):
    return asks(table, torch.tensor([bag + [0] * (PLACES - len(bag))])).detach().numpy()[0]


def normed(x):
    return (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-5)


def test_it_is_the_newest_place_of_self_attention_and_two_layers():
    """NumPy, a head after the other, with a key and a value of each watch: of the question, any two factors will do."""
    asks, table = block()
    weights = {name: value.numpy() for name, value in asks.state_dict().items()}
    x = normed(table.weight.detach().numpy()[[7, 2, 9]] + weights["place"][:3])
    key = np.random.default_rng(0).normal(size=(WIDTH, WIDTH))
    mixed = weights["answers.bias"].astype(np.float64)
    for head in range(HEADS):
        part = slice(head * WIDTH, (head + 1) * WIDTH)
        query = np.linalg.solve(key.T, weights["questions.weight"][part] @ x[0] + weights["questions.bias"][part])
        odds = np.exp((x @ key.T) @ query / np.sqrt(WIDTH))
        value = x @ weights["answers.weight"][:, part].T
        mixed += odds / odds.sum() @ value
    inner = np.maximum(normed(mixed) @ weights["layers.1.weight"].T + weights["layers.1.bias"], 0)
    wanted = mixed + inner @ weights["layers.4.weight"].T + weights["layers.4.bias"]
    np.testing.assert_allclose(of(asks, table, [7, 2, 9]), wanted, rtol=1e-4, atol=1e-5)


def test_order_tells():
    asks, table = block()
    assert not np.allclose(of(asks, table, [7, 2, 9]), of(asks, table, [7, 9, 2]), atol=1e-3)


def test_unknown_videos_say_nothing_wherever_they_are():
    asks, table = block()
    before = of(asks, table, [7, 0, 9]), of(asks, table, [])
    with torch.no_grad():
        asks.place[[1, 3, 4]] += 1.0
    np.testing.assert_array_equal(of(asks, table, [7, 0, 9]), before[0])
    np.testing.assert_array_equal(of(asks, table, []), before[1])
    assert np.isfinite(before[1]).all()


@pytest.mark.parametrize(("pooling", "alike"), [("average", True), ("attention", False)])
def test_with_it_the_user_tower_heeds_the_order_of_the_watches(pooling, alike):
    model = towers(pooling=pooling)
    there, back = (model.user(user_inputs(encoded(watched))) for watched in (["film", "song"], ["song", "film"]))
    assert torch.allclose(there, back, atol=1e-5) == alike


def test_the_unknown_stays_the_zero_vector_whatever_is_trained():
    asks, table = block()
    optimizer = torch.optim.Adam([*asks.parameters(), *table.parameters()], lr=0.1, weight_decay=0.1)
    for _ in range(5):
        optimizer.zero_grad()
        (asks(table, torch.tensor([[3, 0, 2, 0, 0], [0, 0, 0, 0, 0]])) - 1).square().sum().backward()
        optimizer.step()
    assert table.weight[0].tolist() == [0.0] * WIDTH
