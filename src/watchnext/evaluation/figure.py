"""A figure kept by user, so that users can be drawn again for an interval (`intervals`).

Each mean here is a ratio of two sums over users: of recall by queries, of per-user AUC times rows by rows, of expected
by observed seconds.

>>> figure = UserFigure.of_values(np.array([1.0, 0.0, 1.0, np.nan]), np.array([7, 7, 9, 9]))
>>> figure.parts.tolist(), figure.weights.tolist(), round(figure.value, 3)
([1.0, 1.0], [2.0, 1.0], 0.667)
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Codes = NDArray[np.integer]


@dataclass(frozen=True)
class UserFigure:
    """The sums of each user; a user of weight 0 has no say."""

    users: Codes  # [users], distinct and rising
    parts: NDArray[np.float64]
    weights: NDArray[np.float64]

    @classmethod
    def of_sums(cls, parts: NDArray[np.number], weights: NDArray[np.number], users: Codes) -> "UserFigure":
        """From the two terms and the user of each row."""
        codes, at = np.unique(users, return_inverse=True)
        sums = [np.asarray(np.bincount(at, terms, len(codes)), np.float64) for terms in (parts, weights)]
        return cls(codes, *sums)

    @classmethod
    def of_values(cls, values: NDArray[np.floating], users: Codes) -> "UserFigure":
        """The mean of `values`, one a query; a NaN is left out."""
        valued = np.isfinite(values)
        return cls.of_sums(np.where(valued, values, 0), valued, users)

    @property
    def value(self) -> float:
        """The figure over all users; NaN where nobody has weight."""
        weight = self.weights.sum()
        return float(self.parts.sum() / weight) if weight > 0 else float("nan")
