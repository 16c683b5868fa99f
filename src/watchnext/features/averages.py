"""What an impression and a watch of the training part came to on average, which the rates of the few lean on."""

from dataclasses import astuple, dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, kw_only=True)
class Averages:
    """Fitted before the split, like vocabularies and quantiles; a generation's overlays keep them.

    With constants in their place what nothing is known of, a video or a user, would stand at an end of the scale
    instead of in its middle (docs/adr/0040).
    """

    click_rate: float = 0.0  # clicks an impression
    completion_rate: float = 0.0  # completed clicks an impression
    watch_fraction: float = 0.0  # of the video's length, of a click
    watch_seconds: float = 0.0  # of a click

    def to_array(self) -> NDArray[np.float64]:
        """All of them, in order."""
        return np.array(astuple(self), np.float64)

    @classmethod
    def from_array(cls, values: NDArray[Any]) -> "Averages":
        """What `to_array` gave.

        Raises:
            ValueError: there are more or fewer.
        """
        names = list(cls.__dataclass_fields__)
        return cls(**dict(zip(names, values.tolist(), strict=True)))


UNFITTED: Final = Averages()
"""Zeros: where nothing reads them, as in a table for the towers alone."""
