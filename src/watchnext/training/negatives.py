"""Negatives of the sampled softmax: videos drawn with replacement from q ∝ (training watches + 1)^0.75.

Often watched videos are drawn more often, every video sometimes, so that vectors of cold ones are trained too. A draw
costs a binary search, whatever the number of videos.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

SMOOTHING: Final = 0.75
_STREAM: Final = 1  # NumPy pads a seed with zeros: without it, the first step would draw from the epoch's order


class Negatives:
    """Draws for each step of a training; the same step gives the same videos."""

    def __init__(self, watches: NDArray[np.int64], *, draws: int, seed: int) -> None:
        """`draws` videos a step, after the training watches of each row, `[videos]`."""
        probabilities = negative_probabilities(watches)
        self._cumulative = np.cumsum(probabilities)
        self._cumulative /= self._cumulative[-1]  # ends at 1, which no uniform number reaches
        self._log_q = np.log(np.maximum(probabilities, np.finfo(np.float64).tiny)).astype(np.float32)
        self._draws = draws
        self._seed = seed

    def draw(self, epoch: int, step: int) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        """Rows and their log q, each `[draws]`."""
        generator = np.random.default_rng((self._seed, epoch, step, _STREAM))
        uniform = generator.random(self._draws)
        rows = np.searchsorted(self._cumulative, uniform, side="right").astype(np.int32)
        return rows, self._log_q[rows]


def negative_probabilities(watches: NDArray[np.int64]) -> NDArray[np.float64]:
    """The probability with which one draw gives each row, `[videos]`; row 0, the unknown video, is never drawn."""
    weights = np.power(watches + 1.0, SMOOTHING, dtype=np.float64)
    weights[0] = 0
    return np.asarray(weights / weights.sum())
