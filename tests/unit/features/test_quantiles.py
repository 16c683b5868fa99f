import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from watchnext.features.quantiles import QuantileNormalizer


def test_a_uniform_feature_keeps_its_shape():
    values = np.linspace(0, 10, 1_001)[:, None]
    normalizer = QuantileNormalizer.fit(values, bins=100)
    assert normalizer(np.array([[0.0], [2.5], [7.5]])).ravel() == pytest.approx([0, 0.25, 0.75], abs=1e-3)


def test_a_skewed_feature_becomes_uniform():
    values = np.random.default_rng(1).lognormal(0, 3, size=(20_000, 1))
    normal = QuantileNormalizer.fit(values, bins=200)(values)
    shares, _ = np.histogram(normal, bins=10, range=(0, 1))
    assert shares / len(values) == pytest.approx([0.1] * 10, abs=0.01)


def test_ties_get_the_share_of_smaller_values():
    values = np.array([[0.0]] * 6 + [[1.0]] * 3 + [[2.0]])
    assert QuantileNormalizer.fit(values, bins=10)(np.array([[0.0], [1.0], [2.0], [99.0], [-5.0]])).ravel() == (
        pytest.approx([0.0, 0.6, 0.9, 0.9, 0.0])
    )


def test_a_constant_feature_is_zero_whatever_comes():
    normalizer = QuantileNormalizer.fit(np.full((9, 1), 3.0), bins=8)
    assert normalizer(np.array([[-1.0], [3.0], [1e9], [np.nan], [np.inf]])).ravel().tolist() == [0.0] * 5


def test_nan_is_zero_and_is_not_fitted_on():
    normalizer = QuantileNormalizer.fit(np.array([[np.nan], [1.0], [2.0], [np.inf]]), bins=4)
    assert normalizer(np.array([[np.nan], [1.0], [2.0], [1.5]])).ravel().tolist() == [0.0, 0.0, 0.5, 0.25]


def test_expand_gives_the_values_then_squares_then_roots():
    normalizer = QuantileNormalizer.fit(np.array([[0.0, 0.0], [1.0, 1.0], [2.0, 2.0], [3.0, 3.0]]), bins=3)
    assert normalizer.expand(np.array([[1.0, 3.0]])).ravel() == pytest.approx(
        [0.25, 0.75, 0.0625, 0.5625, 0.5, 0.75**0.5]
    )


@given(
    arrays(np.float64, st.tuples(st.integers(1, 40), st.integers(1, 3)), elements=st.floats(-1e12, 1e12)),
    st.integers(1, 12),
)
def test_normal_values_are_in_zero_to_one_and_rise_with_the_input(values, bins):
    normal = QuantileNormalizer.fit(values, bins)(values)
    assert ((normal >= 0) & (normal < 1)).all()
    for column, shaped in zip(values.T, normal.T, strict=True):
        assert (np.diff(shaped[np.argsort(column, kind="stable")]) >= 0).all()


def test_arrays_give_the_same_normalizer_back():
    values = np.random.default_rng(2).normal(size=(50, 4))
    values[:, 2] = 1.0  # a constant one has a single knot
    normalizer = QuantileNormalizer.fit(values, bins=7)
    assert QuantileNormalizer.from_arrays(normalizer.arrays()).expand(values).tobytes() == (
        normalizer.expand(values).tobytes()
    )


def test_a_row_does_not_depend_on_its_neighbours():
    values = np.random.default_rng(3).normal(size=(500, 34))
    normalizer = QuantileNormalizer.fit(values, bins=64)
    alone = np.concatenate([normalizer.expand(values[at : at + 1]) for at in range(500)])
    assert alone.tobytes() == normalizer.expand(values).tobytes()


def test_another_number_of_features_is_refused():
    with pytest.raises(ValueError, match=r"wanted \[n, 2\]"):
        QuantileNormalizer.fit(np.zeros((3, 2)), bins=2)(np.zeros((1, 3)))
    with pytest.raises(ValueError, match="wanted"):
        QuantileNormalizer.fit(np.zeros((0, 2)), bins=2)
