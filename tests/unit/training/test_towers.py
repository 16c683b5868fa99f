import numpy as np
import pytest

from watchnext.training.towers import negative_probabilities


def test_negatives_follow_the_smoothed_counts_and_never_the_unknown_video():
    draw = negative_probabilities(np.array([1, 1, 1, 3], np.int32), videos=4)
    weights = np.array([0, 4**0.75, 1, 2**0.75])
    assert draw == pytest.approx(weights / weights.sum())
