"""The item-item table against one worked by hand, and against scikit-learn and NumPy."""

import numpy as np
import pytest
from sklearn.metrics.pairwise import cosine_similarity

from watchnext.evaluation import baselines
from watchnext.generation.item_item import ItemItem
from watchnext.training import item_item
from watchnext.training.example_set import Pairs
from watchnext.training.item_item import fit_item_item, leading_directions


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


def tastes(users: int, *, seed: int = 0) -> Pairs:
    """Of 200 videos, 20 are shown to everybody often; of the others, ten groups, a user meets mostly those of one.

    So there are nine directions beside the first, and a gap after them.
    """
    random = np.random.default_rng(seed)
    person, row = [], []
    for user in range(users):
        own = 21 + 18 * (user % 10) + random.choice(18, 5, replace=False)
        met = np.concatenate([random.choice(np.arange(1, 21), 12, replace=False), own, random.integers(21, 201, 3)])
        person.append(np.full(len(met), user))
        row.append(met)
    return Pairs(person=np.concatenate(person), row=np.concatenate(row).astype(np.int32))


def scaled(met: Pairs, videos: int) -> np.ndarray:
    dense = np.zeros((met.person.max() + 1, videos + 1))
    dense[met.person, met.row] = 1
    sums = [np.sqrt(np.maximum(dense.sum(axis, keepdims=True), 1)) for axis in (0, 1)]
    return dense / sums[0] / sums[1]


@pytest.mark.parametrize("users_at_once", [7, 65_536])
def test_the_directions_are_those_of_numpys_decomposition(monkeypatch: pytest.MonkeyPatch, users_at_once: int):
    monkeypatch.setattr(item_item, "USERS_AT_ONCE", users_at_once)
    met = tastes(2_000)
    _, _, expected = np.linalg.svd(scaled(met, 200), full_matrices=False)
    found = leading_directions(baselines.meetings(met.person, met.row, videos=200), 9)
    assert found.shape == (201, 9)
    np.testing.assert_allclose(found.T @ found, np.eye(9), atol=1e-4)
    np.testing.assert_allclose(found @ found.T, expected[1:10].T @ expected[1:10], atol=0.01)


@pytest.fixture
def nine_directions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(item_item, "VIDEOS_A_DIRECTION", 22)
    monkeypatch.setattr(item_item, "LEAST_DIRECTIONS", 9)
    monkeypatch.setattr(item_item, "ROUNDS", 20)  # until they are NumPy's


@pytest.mark.usefixtures("nine_directions")
def test_similarities_are_the_cosines_of_the_places_among_the_directions():
    met = tastes(2_000)
    _, _, directions = np.linalg.svd(scaled(met, 200), full_matrices=False)
    expected = cosine_similarity(directions[1:10].T)
    dense = scaled(met, 200) > 0
    expected[dense.T.astype(int) @ dense.astype(int) < 2] = 0
    np.fill_diagonal(expected, 0)
    table = fit_item_item(met, videos=200)
    found = np.array([table.sums(np.array([row]), videos=201) for row in range(201)])
    groups = slice(21, 201)  # what everybody meets lies in no direction
    np.testing.assert_allclose(found[groups, groups], np.maximum(expected, 0)[groups, groups], atol=0.001)


@pytest.mark.usefixtures("nine_directions")
def test_what_everybody_meets_is_no_neighbour_of_what_few_do():
    """Plain cosine puts what is shown to everybody beside everything."""
    met = tastes(2_000)
    cosine = baselines.ItemCosine.fit(met.person, met.row, videos=200).similarity.toarray()
    table = fit_item_item(met, videos=200)
    assert len(set(np.argsort(-cosine[21])[:17]) & set(range(1, 21))) > 3
    assert {row for row, _ in neighbours(table, 21)[:17]} == set(range(22, 39))


def test_the_places_of_many_videos_have_fewer_directions(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(item_item, "PLACES", 20 * 200)
    counts = []
    original = item_item.leading_directions
    monkeypatch.setattr(item_item, "leading_directions", lambda *args: counts.append(args[1]) or original(*args))
    fit_item_item(tastes(50), videos=200)
    assert counts == [20]


def test_there_are_no_more_directions_than_users_make():
    """Those beyond would be of rounding, and count as much as any."""
    met = tastes(50)
    found = leading_directions(baselines.meetings(met.person, met.row, videos=200), 100)
    assert found.shape == (201, 49)
    assert np.linalg.norm(scaled(met, 200) @ found, axis=0).min() > 0.05


def test_of_too_few_users_to_make_directions_the_cosine_of_their_sets_is_left():
    met = tastes(10)
    cosine = baselines.ItemCosine.fit(met.person, met.row, videos=200).similarity.toarray()
    table = fit_item_item(met, videos=200)
    assert len(table.rows)
    for row in range(1, 201):
        assert neighbours(table, row) == [
            (other, pytest.approx(cosine[row, other])) for other, _ in neighbours(table, row)
        ]


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


def test_no_two_users_met_the_same_videos():
    table = fit_item_item(pairs(*([row] for row in range(1, 201))), videos=200)
    assert table.starts.tolist() == [0] * 202


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
