"""Splits by time: the past trains, the future tests. Never a random hold-out, which would train on the future.

A cut falls on a whole hour, so that a few events more or less do not move it, and events of one moment stay together.

>>> split = split_at_share(np.array([1, 2, 3, 4]) * HOUR_MS, test_share=0.25)
>>> split.cut_ms // HOUR_MS
4
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from watchnext.clock import HOUR_MS
from watchnext.errors import DataError


@dataclass(frozen=True, slots=True)
class TimeSplit:
    """What is before `cut_ms` (epoch ms) trains, the rest tests."""

    cut_ms: int

    def train(self, times_ms: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Mask of the training rows."""
        return times_ms < self.cut_ms

    def test(self, times_ms: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Mask of the test rows."""
        return times_ms >= self.cut_ms


def split_at_share(times_ms: NDArray[np.int64], test_share: float, *, step_ms: int = HOUR_MS) -> TimeSplit:
    """The cut that leaves about `test_share` of the rows to the test side, on a whole `step_ms`.

    Rounding is towards the past: the test side gets what the step takes from training.

    Raises:
        DataError: no times, or all fall into one step, so that one side would be empty.
    """
    if not 0 < test_share < 1:
        raise DataError(f"a test share of {test_share} came; wanted a number between 0 and 1")
    if len(times_ms) == 0:
        raise DataError("no times came to split; wanted at least two rows at different times")
    ordered = np.sort(times_ms)
    first_test = min(int(np.ceil(len(ordered) * (1 - test_share))), len(ordered) - 1)
    cut_ms = int(ordered[first_test]) // step_ms * step_ms
    if ordered[0] >= cut_ms:
        raise DataError(
            f"{len(ordered):,} rows lie within {(int(ordered[-1]) - int(ordered[0])) / step_ms:.1f} steps of "
            f"{step_ms / HOUR_MS:g} h; wanted some before and some after a whole step: replay a longer stretch"
        )
    return TimeSplit(cut_ms)
