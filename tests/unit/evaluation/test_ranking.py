import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.calibration import calibration_curve
from sklearn.metrics import ndcg_score, roc_auc_score

from watchnext.evaluation.ranking import (
    agreement,
    auc,
    calibration_ratio,
    per_user_auc,
    ranking_metrics,
    reliability,
    watch_time_ndcg,
    watch_time_pairs,
    weighted_per_user_loss,
    xauc,
)

impressions = st.lists(
    st.tuples(st.integers(0, 3), st.integers(0, 4), st.sampled_from([0.0, 0.0, 3.0, 10.0, 25.0])),
    min_size=1,
    max_size=30,
).map(lambda rows: tuple(np.array(column) for column in zip(*rows, strict=True)))


def test_auc_equals_scikit_learn_with_ties():
    generator = np.random.default_rng(1)
    scores = np.round(generator.random(500), 1)
    labels = generator.random(500) < 0.3
    assert auc(scores, labels) == pytest.approx(roc_auc_score(labels, scores))


def test_auc_of_one_class_is_nan():
    assert math.isnan(auc(np.array([1.0, 2.0]), np.array([True, True])))


@pytest.mark.parametrize("place", [0, 3, slice(None)])
def test_a_score_that_is_nan_makes_every_figure_nan(place):
    """Sorted last in the order in which they came, NaN scores would say that what came last was clicked."""
    scores, seconds = np.array([1.0, 2.0, 3.0, 4.0]), np.array([0.0, 0.0, 5.0, 9.0])
    scores[place] = math.nan
    figures = ranking_metrics(scores, seconds, seconds > 0, np.array([7, 7, 7, 7]))
    assert {name for name, value in figures.items() if not math.isnan(value)} == set()


def test_per_user_auc_weighs_users_by_rows():
    users = np.array([7, 7, 8, 8, 8, 9])
    labels = np.array([True, False, True, False, False, True])
    scores = np.array([2.0, 1.0, 0.0, 1.0, 2.0, 5.0])
    figure = per_user_auc(scores, labels, users)
    assert figure.users.tolist() == [7, 8, 9]
    assert figure.parts.tolist() == [2, 0, 0]
    assert figure.weights.tolist() == [2, 3, 0]
    assert figure.value == pytest.approx((1.0 * 2 + 0.0 * 3) / 5)


@given(impressions)
def test_per_user_auc_equals_scikit_learn_on_each_user(rows):
    users, scores, seconds = rows
    figure = per_user_auc(scores, seconds > 0, users)
    for user, part, weight in zip(figure.users, figure.parts, figure.weights, strict=True):
        mine = users == user
        if len(set(seconds[mine] > 0)) == 2:
            assert weight == mine.sum()
            assert part / weight == pytest.approx(roc_auc_score(seconds[mine] > 0, scores[mine]))
        else:
            assert weight == 0


def test_xauc_by_hand():
    seconds = np.array([0.0, 10.0, 20.0])
    assert xauc(np.array([1.0, 2.0, 3.0]), seconds) == 1.0
    assert xauc(np.array([1.0, 3.0, 2.0]), seconds) == pytest.approx(2 / 3)
    assert xauc(np.array([1.0, 1.0, 1.0]), seconds) == 0.5
    assert math.isnan(xauc(np.array([1.0, 2.0]), np.array([3.0, 3.0])))


@given(impressions)
def test_xauc_of_two_lengths_is_auc(rows):
    _, scores, seconds = rows
    assert xauc(scores, (seconds > 0) * 9.0) == pytest.approx(auc(scores, seconds > 0), nan_ok=True)


def test_xauc_samples_large_sets():
    generator = np.random.default_rng(2)
    seconds = generator.random(2_000)
    noisy = seconds + generator.normal(0, 1, 2_000)
    exact = agreement(noisy, *watch_time_pairs(seconds, pairs=10_000_000)).mean()
    assert xauc(noisy, seconds) == pytest.approx(exact, abs=0.01)
    assert len(watch_time_pairs(seconds, pairs=100)[0]) <= 100


def test_calibration():
    figure = calibration_ratio(np.array([1.0, 3.0]), np.array([0.0, 2.0]), np.array([4, 5]))
    assert figure.value == 2.0
    assert figure.weights.tolist() == [0, 2]


def test_weighted_per_user_loss_by_hand():
    # user 1: a clicked 30 s at score 2 against unclicked at 1 and 3: one of two pairs is wrong; user 2 has no pair
    users = np.array([1, 1, 1, 2])
    clicked = np.array([True, False, False, True])
    seconds = np.array([30.0, 0.0, 0.0, 99.0])
    figure = weighted_per_user_loss(np.array([2.0, 1.0, 3.0, 0.0]), seconds, clicked, users)
    assert figure.parts.tolist() == [30, 0]
    assert figure.weights.tolist() == [60, 0]
    assert figure.value == 0.5
    assert weighted_per_user_loss(np.array([2.0, 2.0, 1.0, 0.0]), seconds, clicked, users).value == 0.25


@given(impressions)
def test_weighted_per_user_loss_equals_a_count_of_the_pairs(rows):
    users, scores, seconds = rows
    clicked = seconds > 0
    wrong = total = 0.0
    for yes in np.flatnonzero(clicked):
        for no in np.flatnonzero(~clicked & (users == users[yes])):
            total += seconds[yes]
            wrong += seconds[yes] * ((scores[no] > scores[yes]) + (scores[no] == scores[yes]) / 2)
    expected = wrong / total if total else math.nan
    assert weighted_per_user_loss(scores, seconds, clicked, users).value == pytest.approx(expected, nan_ok=True)


def test_watch_time_ndcg_by_hand():
    # user 1: 10 s at the second place where the first was best; user 2: nothing watched; user 3: one impression
    users = np.array([1, 1, 2, 2, 3])
    seconds = np.array([10.0, 0.0, 0.0, 0.0, 7.0])
    figure = watch_time_ndcg(np.array([1.0, 2.0, 1.0, 2.0, 1.0]), seconds, users)
    assert figure.weights.tolist() == [1, 0, 0]
    assert figure.value == pytest.approx(1 / math.log2(3))


@given(impressions)
def test_watch_time_ndcg_equals_scikit_learn_on_each_list(rows):
    users, scores, seconds = rows
    figure = watch_time_ndcg(scores, seconds, users)
    for user, value, weight in zip(figure.users, figure.parts, figure.weights, strict=True):
        mine = users == user
        if len(set(seconds[mine])) > 1:
            assert weight == 1
            assert value == pytest.approx(ndcg_score([seconds[mine]], [scores[mine]]))
        else:
            assert (value, weight) == (0, 0)


def test_reliability_by_hand():
    lengths = np.array([60.0] * 4 + [10.0] * 4)
    found = reliability(np.arange(8.0), np.array([0.0, 0, 0, 8, 1, 1, 1, 1]), by=lengths)
    assert found.by.tolist() == [10, 60]
    assert found.expected.tolist() == [5.5, 1.5]
    assert found.observed.tolist() == [1, 2]
    assert found.rows.tolist() == [4, 4]


def test_reliability_has_ten_equal_bins_and_equals_scikit_learn():
    generator = np.random.default_rng(4)
    chances = generator.random(1_000)
    happened = generator.random(1_000) < chances
    found = reliability(chances, happened, by=chances)
    observed, expected = calibration_curve(happened, chances, n_bins=10, strategy="quantile")
    assert found.rows.tolist() == [100] * 10
    assert found.observed == pytest.approx(observed)
    assert found.expected == pytest.approx(expected)
    assert found.by == pytest.approx(expected)


def test_reliability_of_nothing_has_no_bins():
    assert len(reliability(np.zeros(0), np.zeros(0), by=np.zeros(0)).rows) == 0


def test_all_names():
    values = ranking_metrics(np.array([1.0, 2.0]), np.array([0.0, 2.0]), np.array([False, True]), np.array([0, 0]))
    assert values == {
        "auc": 1.0,
        "per_user_auc": 1.0,
        "xauc": 1.0,
        "calibration": 1.5,
        "weighted_per_user_loss": 0.0,
        "watch_time_ndcg": 1.0,
    }
