import math

import numpy as np
import pytest
from scipy.stats import bootstrap
from sklearn.metrics import roc_auc_score

from watchnext.evaluation import intervals
from watchnext.evaluation.figure import UserFigure
from watchnext.evaluation.intervals import auc_difference, paired_difference, xauc_difference
from watchnext.evaluation.ranking import per_user_auc, watch_time_pairs

PEOPLE = 40


@pytest.fixture(scope="module")
def held_out() -> dict[str, np.ndarray]:
    """Impressions of 40 users, who differ in how many they have; a good contender and a worse one."""
    generator = np.random.default_rng(3)
    users = np.sort(generator.integers(0, PEOPLE, 600) ** 2 // PEOPLE) + 100
    seconds = np.where(generator.random(600) < 0.4, np.round(generator.exponential(20, 600), 1), 0)
    return {
        "users": users,
        "seconds": seconds,
        "good": np.round(seconds + generator.normal(0, 30, 600)),
        "worse": np.round(seconds + generator.normal(0, 60, 600)),
    }


def drawn_rows(users: np.ndarray, draws: int, seed: int) -> list[np.ndarray]:
    """The rows of each draw of users, as the module says that it draws."""
    codes = np.unique(users)
    generator = np.random.default_rng(seed)
    return [
        np.concatenate(
            [np.flatnonzero(users == codes[place]) for place in generator.integers(0, len(codes), len(codes))]
        )
        for _ in range(draws)
    ]


def test_a_mean_has_the_interval_of_scipy():
    generator = np.random.default_rng(0)
    first, second = generator.random(300), generator.random(300)
    users = np.arange(300)
    found = paired_difference(UserFigure.of_values(first, users), UserFigure.of_values(second, users))
    expected = bootstrap((first - second,), np.mean, n_resamples=20_000, method="percentile", rng=1).confidence_interval
    spread = expected.high - expected.low
    assert found.low == pytest.approx(expected.low, abs=0.1 * spread)
    assert found.high == pytest.approx(expected.high, abs=0.1 * spread)
    assert found.first == pytest.approx(first.mean())
    assert found.value == pytest.approx(first.mean() - second.mean())


def test_a_user_is_drawn_with_all_queries():
    values, users = np.repeat([1.0, 0.0], 50), np.repeat([1, 2], 50)
    found = paired_difference(UserFigure.of_values(values, users), UserFigure.of_values(0 * values, users))
    assert (found.low, found.high) == (0, 1), "two users leave a quarter of the draws to each alone"


def test_a_weighted_figure_is_that_of_the_drawn_rows(held_out, monkeypatch):
    monkeypatch.setattr(intervals, "DRAWS", 60)
    users, labels = held_out["users"], held_out["seconds"] > 0
    good, worse = (per_user_auc(held_out[name], labels, users) for name in ("good", "worse"))
    found = paired_difference(good, worse, seed=5)
    place = {user: at for at, user in enumerate(good.users)}
    expected = []
    for rows in drawn_rows(users, 60, seed=5):
        at = [place[user] for user in users[rows]]
        weights = (good.weights > 0)[at]
        gains = [figure.parts[at] / np.maximum(figure.weights[at], 1) for figure in (good, worse)]
        expected.append(np.average(gains[0] - gains[1], weights=weights))
    assert [found.low, found.high] == pytest.approx(np.quantile(expected, [0.025, 0.975]).tolist())


def test_pooled_auc_is_that_of_the_drawn_rows(held_out, monkeypatch):
    monkeypatch.setattr(intervals, "DRAWS", 60)
    users, labels = held_out["users"], held_out["seconds"] > 0
    found = auc_difference(held_out["good"], held_out["worse"], labels, users, seed=6)
    expected = [
        roc_auc_score(labels[rows], held_out["good"][rows]) - roc_auc_score(labels[rows], held_out["worse"][rows])
        for rows in drawn_rows(users, 60, seed=6)
    ]
    assert [found.low, found.high] == pytest.approx(np.quantile(expected, [0.025, 0.975]).tolist())
    assert found.first == pytest.approx(roc_auc_score(labels, held_out["good"]))
    assert found.low < found.value < found.high


def test_xauc_counts_a_pair_as_often_as_both_its_users(held_out, monkeypatch):
    monkeypatch.setattr(intervals, "DRAWS", 30)
    users, seconds = held_out["users"], held_out["seconds"]
    found = xauc_difference(held_out["good"], held_out["worse"], seconds, users, seed=7)
    longer, shorter = watch_time_pairs(seconds)
    expected = []
    for rows in drawn_rows(users, 30, seed=7):
        times = np.bincount(rows, minlength=len(users))
        weights = times[longer] * times[shorter]
        right = [np.heaviside(held_out[name][longer] - held_out[name][shorter], 0.5) for name in ("good", "worse")]
        expected.append(np.average(right[0] - right[1], weights=weights))
    assert [found.low, found.high] == pytest.approx(np.quantile(expected, [0.025, 0.975]).tolist())
    assert found.low < found.value < found.high


@pytest.mark.parametrize("difference", [auc_difference, xauc_difference])
def test_several_fits_of_a_contender_count_by_their_mean(held_out, monkeypatch, difference):
    monkeypatch.setattr(intervals, "DRAWS", 40)
    good, worse, seconds, users = (held_out[name] for name in ("good", "worse", "seconds", "users"))
    labels = seconds > 0 if difference is auc_difference else seconds
    alone, same = (difference(one, worse, labels, users) for one in (good, worse))
    both = difference(np.stack([good, worse]), worse, labels, users)
    assert both.first == pytest.approx((alone.first + same.first) / 2)
    assert both.second == pytest.approx(alone.second)
    assert [both.low, both.high] == pytest.approx([alone.low / 2, alone.high / 2]), "the other half differs by nothing"


def test_contenders_that_are_the_same_differ_by_nothing(held_out):
    labels = held_out["seconds"] > 0
    found = auc_difference(held_out["good"], held_out["good"] * 2, labels, held_out["users"])
    assert (found.low, found.high) == (0, 0)


def test_contenders_that_change_places_mirror_the_interval(held_out):
    labels, users = held_out["seconds"] > 0, held_out["users"]
    one, other = (
        auc_difference(held_out[first], held_out[second], labels, users)
        for first, second in (("good", "worse"), ("worse", "good"))
    )
    assert [one.low, one.high] == pytest.approx([-other.high, -other.low])


def test_what_is_at_once_in_memory_changes_nothing(held_out, monkeypatch):
    measured = held_out["good"], held_out["worse"], held_out["seconds"] > 0, held_out["users"]
    whole = auc_difference(*measured)
    monkeypatch.setattr(intervals, "CELLS", 7 * len(held_out["users"]))
    assert auc_difference(*measured) == whole
    assert auc_difference(*measured, seed=1) != whole


def test_figures_of_other_rows_are_refused():
    users = np.array([1, 2])
    figure = UserFigure.of_values(np.array([1.0, 0.5]), users)
    with pytest.raises(ValueError, match="measure both contenders on the same held-out rows"):
        paired_difference(figure, UserFigure.of_values(np.array([1.0, math.nan]), users))
    with pytest.raises(ValueError, match="measure both contenders on the same held-out rows"):
        paired_difference(figure, UserFigure.of_values(np.array([1.0, 0.5]), users + 1))


def test_a_figure_that_nobody_has_is_refused():
    nothing = UserFigure.of_values(np.array([math.nan]), np.array([1]))
    with pytest.raises(ValueError, match="the figure of 1 users is not defined"):
        paired_difference(nothing, nothing)
    with pytest.raises(ValueError, match="wanted rows of both kinds"):
        auc_difference(np.ones(2), np.ones(2), np.array([True, True]), np.array([1, 2]))
