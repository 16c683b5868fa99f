"""The item-item table against one worked by hand, and against scikit-learn."""

import numpy as np
import pytest
from sklearn.metrics.pairwise import cosine_similarity

from watchnext.evaluation import baselines
from watchnext.generation.item_item import ItemItem
from watchnext.training import item_item
from watchnext.training.example_set import Pairs
from watchnext.training.item_item import fit_item_item


def pairs(*of_users: list[int]) -> Pairs:
    """The rows that users 0, 1, ... met."""
    person = np.repeat(np.arange(len(of_users)), [len(rows) for rows in of_users])
    return Pairs(person=person, row=np.concatenate(of_users).astype(np.int32))


def neighbours(table: ItemItem, row: int) -> list[tuple[int, float]]:
    span = slice(table.starts[row], table.starts[row + 1])
    return list(zip(table.rows[span].tolist(), table.similarity[span].tolist(), strict=True))


def test_neighbours_by_hand():
    # videos 1 and 2 were met by users 0, 1, 2 and 0, 1: cosine 2 / sqrt(3 * 2); 3 by users 0, 1, 2, 3: 3 / sqrt(3 * 4)
    table = fit_item_item(pairs([1, 2, 3], [1, 2, 3], [1, 3], [3, 4]), videos=5)
    assert neighbours(table, 1) == [(3, pytest.approx(3 / 12**0.5)), (2, pytest.approx(2 / 6**0.5))]
    assert neighbours(table, 2) == [(1, pytest.approx(2 / 6**0.5)), (3, pytest.approx(2 / 8**0.5))]
    assert neighbours(table, 4) == []  # one user alone met it with another
    assert neighbours(table, 5) == []
    assert len(table.starts) == 7


def test_repeated_and_unknown_meetings_do_not_count():
    once = fit_item_item(pairs([1, 2], [1, 2], [1]), videos=2)
    again = fit_item_item(pairs([1, 2, 2, 0], [0, 1, 2], [1, 1]), videos=2)
    assert neighbours(again, 1) == neighbours(once, 1) == [(2, pytest.approx(2 / 6**0.5))]
    assert neighbours(again, 0) == []


@pytest.mark.parametrize("at_once", [1, 500, 20_000_000])
def test_all_neighbours_are_those_of_scikit_learn(monkeypatch: pytest.MonkeyPatch, at_once: int):
    monkeypatch.setattr(baselines, "PAIRS_AT_ONCE", at_once)
    random = np.random.default_rng(0)
    met = Pairs(person=random.integers(0, 20, 300), row=random.integers(0, 31, 300).astype(np.int32))
    dense = np.zeros((20, 31))
    dense[met.person, met.row] = 1
    dense[:, 0] = 0
    expected = cosine_similarity(dense.T)
    expected[dense.T @ dense < 2] = 0
    np.fill_diagonal(expected, 0)
    table = fit_item_item(met, videos=30)
    for row in range(31):
        np.testing.assert_allclose(table.sums(np.array([row]), videos=31), expected[row], atol=1e-6)


def test_only_the_nearest_are_kept_the_nearest_first_and_ties_by_row(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(item_item, "NEIGHBOURS", 2)
    table = fit_item_item(pairs([1, 2, 3, 4], [1, 2, 3, 4], [1, 4]), videos=4)
    assert [row for row, _ in neighbours(table, 1)] == [4, 2]
    assert [row for row, _ in neighbours(table, 2)] == [3, 1]


def test_of_a_user_who_met_very_many_a_share_is_drawn(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(baselines, "MET", 50)
    everything = list(range(1, 201))
    table = fit_item_item(pairs(everything, everything, [1, 2], [1, 2]), videos=200)
    assert neighbours(table, 1)[0][0] == 2  # the small users' are all there
    assert 0 < np.count_nonzero(np.diff(table.starts)) < 60  # of both big ones' videos about 1 in 16 was drawn twice


def test_nobody_met_anything():
    table = fit_item_item(pairs([0]), videos=3)
    assert table.starts.tolist() == [0] * 5


def test_the_scale_is_the_typical_users_variance_of_roots():
    # who met both videos: each is the other's neighbour, cosine 2/2, half of it a video of the bag; row 0 has nothing
    assert fit_item_item(pairs([1, 2], [1, 2]), videos=2).scale == pytest.approx(np.var([0, 0.5**0.5, 0.5**0.5]))
    assert fit_item_item(pairs([1], [2]), videos=2).scale == 1


def test_two_videos_that_fifty_thousand_users_met_are_neighbours():
    """The product of their meetings is more than 32 bits hold."""
    users = 50_000
    met = Pairs(person=np.repeat(np.arange(users), 2), row=np.tile(np.array([1, 2], np.int32), users))
    table = fit_item_item(met, videos=3)
    assert neighbours(table, 1) == [(2, pytest.approx(1.0))]
    assert neighbours(table, 2) == [(1, pytest.approx(1.0))]
    assert np.isfinite(table.scale)
