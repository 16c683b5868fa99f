import math

import numpy as np
import pytest

from watchnext.evaluation.figure import UserFigure


def test_sums_by_user():
    figure = UserFigure.of_sums(np.array([1.0, 2.0, 4.0]), np.array([1, 0, 3]), np.array([9, 5, 9]))
    assert figure.users.tolist() == [5, 9]
    assert figure.parts.tolist() == [2, 5]
    assert figure.weights.tolist() == [0, 4]
    assert figure.value == 7 / 4


def test_a_query_without_a_value_is_left_out():
    figure = UserFigure.of_values(np.array([0.5, math.nan, 1.0]), np.array([1, 1, 2]))
    assert figure.value == pytest.approx(0.75)
    assert math.isnan(UserFigure.of_values(np.array([math.nan]), np.array([1])).value)
