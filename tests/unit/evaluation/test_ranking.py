import math

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from watchnext.evaluation.ranking import (
    auc,
    calibration_ratio,
    per_user_auc,
    ranking_metrics,
    weighted_per_user_loss,
    xauc,
)


def test_auc_equals_scikit_learn_with_ties():
    generator = np.random.default_rng(1)
    scores = np.round(generator.random(500), 1)
    labels = generator.random(500) < 0.3
    assert auc(scores, labels) == pytest.approx(roc_auc_score(labels, scores))


def test_auc_of_one_class_is_nan():
    assert math.isnan(auc(np.array([1.0, 2.0]), np.array([True, True])))


def test_per_user_auc_weighs_users_by_rows():
    users = np.array([7, 7, 8, 8, 8, 9])
    labels = np.array([True, False, True, False, False, True])
    scores = np.array([2.0, 1.0, 0.0, 1.0, 2.0, 5.0])
    assert per_user_auc(scores, labels, users) == pytest.approx((1.0 * 2 + 0.0 * 3) / 5)


def test_xauc_by_hand():
    seconds = np.array([0.0, 10.0, 20.0])
    assert xauc(np.array([1.0, 2.0, 3.0]), seconds) == 1.0
    assert xauc(np.array([1.0, 3.0, 2.0]), seconds) == pytest.approx(2 / 3)
    assert xauc(np.array([1.0, 1.0, 1.0]), seconds) == 0.5
    assert math.isnan(xauc(np.array([1.0, 2.0]), np.array([3.0, 3.0])))


def test_xauc_samples_large_sets():
    generator = np.random.default_rng(2)
    seconds = generator.random(2_000)
    noisy = seconds + generator.normal(0, 1, 2_000)
    exact = xauc(noisy, seconds, pairs=10_000_000)
    assert xauc(noisy, seconds, pairs=100_000) == pytest.approx(exact, abs=0.01)


def test_calibration():
    assert calibration_ratio(np.array([1.0, 3.0]), np.array([0.0, 2.0])) == 2.0


def test_weighted_per_user_loss_by_hand():
    # user 1: a clicked 30 s at score 2 against unclicked at 1 and 3: one of two pairs is wrong; user 2 has no pair
    users = np.array([1, 1, 1, 2])
    clicked = np.array([True, False, False, True])
    seconds = np.array([30.0, 0.0, 0.0, 99.0])
    assert weighted_per_user_loss(np.array([2.0, 1.0, 3.0, 0.0]), seconds, clicked, users) == 0.5
    assert weighted_per_user_loss(np.array([2.0, 2.0, 1.0, 0.0]), seconds, clicked, users) == 0.25


def test_all_names():
    values = ranking_metrics(np.array([1.0, 2.0]), np.array([0.0, 2.0]), np.array([False, True]), np.array([0, 0]))
    assert values == {
        "auc": 1.0,
        "per_user_auc": 1.0,
        "xauc": 1.0,
        "calibration": 1.5,
        "weighted_per_user_loss": 0.0,
    }
