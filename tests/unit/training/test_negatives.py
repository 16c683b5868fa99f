import numpy as np
import pytest

from watchnext.training.negatives import Negatives, negative_probabilities

WATCHES = np.array([0, 3, 0, 1])
WEIGHTS = np.array([0, 4**0.75, 1, 2**0.75])  # of the rows 0 to 3


def test_negatives_follow_the_smoothed_counts_and_never_the_unknown_video():
    assert negative_probabilities(WATCHES) == pytest.approx(WEIGHTS / WEIGHTS.sum())


def test_draws_come_as_often_as_their_probability_says():
    rows, log_q = Negatives(WATCHES, draws=200_000, seed=1).draw(0, 0)
    assert np.bincount(rows, minlength=4) / len(rows) == pytest.approx(WEIGHTS / WEIGHTS.sum(), abs=0.005)
    np.testing.assert_allclose(log_q, (np.log(WEIGHTS[1:]) - np.log(WEIGHTS.sum()))[rows - 1], rtol=1e-6)


def test_a_step_draws_the_same_again_and_another_step_or_seed_something_else():
    negatives = Negatives(WATCHES, draws=50, seed=1)
    first = negatives.draw(2, 3)[0].tolist()
    assert negatives.draw(2, 3)[0].tolist() == first
    others = [negatives.draw(2, 4), negatives.draw(3, 3), Negatives(WATCHES, draws=50, seed=2).draw(2, 3)]
    assert all(rows.tolist() != first for rows, _ in others)
