"""Continuous features through their empirical CDF, interpolated between quantiles (paper, section 4.1).

A value x becomes the share of fitted values below it, P(X < x): in [0, 1), 0 for the least, the same for ties. The
ranker reads x̃ together with x̃² and √x̃, so that it can bend a feature either way.

>>> normalizer = QuantileNormalizer.fit(np.array([[0.0], [0.0], [1.0], [3.0]]), bins=4)
>>> normalizer(np.array([[0.0], [1.0], [2.0], [9.0]])).ravel().tolist()
[0.0, 0.5, 0.625, 0.75]
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray


class QuantileNormalizer:
    """Piecewise linear CDFs, one a feature; rows of a batch do not touch each other, to the last bit."""

    def __init__(self, knots: list[NDArray[np.float64]], levels: list[NDArray[np.float64]]) -> None:
        self._knots = knots  # of each feature, strictly rising
        self._levels = levels  # P(X < knot)

    @classmethod
    def fit(cls, values: NDArray[Any], bins: int) -> "QuantileNormalizer":
        """From `values [n, features]`, with at most `bins` + 1 knots a feature; what is not finite does not count.

        Raises:
            ValueError: no rows, not two-dimensional, or no bins.
        """
        if values.ndim != 2 or not len(values) or bins < 1:
            raise ValueError(f"values of shape {values.shape} and {bins} bins came; wanted [rows, features], 1 or more")
        knots, levels = [], []
        for column in np.asarray(values, dtype=np.float64).T:
            finite = np.sort(column[np.isfinite(column)])
            if not len(finite):
                finite = np.zeros(1)
            knot = np.unique(finite[np.linspace(0, len(finite) - 1, bins + 1).round().astype(np.int64)])
            knots.append(knot)
            levels.append(np.searchsorted(finite, knot, side="left") / len(finite))
        return cls(knots, levels)

    @property
    def features(self) -> int:
        """How many columns it was fitted on."""
        return len(self._knots)

    def __call__(self, values: NDArray[Any]) -> NDArray[np.float32]:
        """`[n, features]` to [0, 1); NaN becomes 0, a constant feature 0.

        Raises:
            ValueError: another number of features than it was fitted on.
        """
        if values.ndim != 2 or values.shape[1] != self.features:
            raise ValueError(f"features of shape {values.shape} came; wanted [n, {self.features}]")
        columns = values.T.astype(np.float64, order="C")  # [features, n]
        constant = (columns == columns[:, :1]).all(axis=1)  # what holds for all candidates of a user alike
        normal = np.empty(columns.shape, dtype=np.float32)
        for at, (knots, levels) in enumerate(zip(self._knots, self._levels, strict=True)):
            wanted = columns[at, :1] if constant[at] else columns[at]
            normal[at] = np.interp(wanted, knots, levels)
        return np.minimum(np.nan_to_num(normal, copy=False).T, _BELOW_ONE)

    def expand(self, values: NDArray[Any]) -> NDArray[np.float32]:
        """`[n, features]` to `[n, 3 · features]`: x̃ of all features, then x̃², then √x̃."""
        normal = self(values)
        return np.concatenate([normal, normal * normal, np.sqrt(normal)], axis=1)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Knots and levels of all features in one row each, with how many knots each feature has (safetensors)."""
        return {
            "knots": np.concatenate(self._knots),
            "levels": np.concatenate(self._levels),
            "counts": np.array([len(knot) for knot in self._knots], dtype=np.int64),
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> "QuantileNormalizer":
        """What `arrays` gave."""
        ends = np.cumsum(arrays["counts"])[:-1]
        return cls(np.split(arrays["knots"], ends), np.split(arrays["levels"], ends))


_BELOW_ONE = np.nextafter(np.float32(1), np.float32(0))
