"""Item-item collaborative filtering: for each video, the videos that the same users met (watched or were shown).

A sparse table, fitted in training (`training/item_item.py`). Overlays append videos and never renumber, so that it
stays what it was: a video that is newer than the training, or that nobody met, has no neighbours.

>>> table = ItemItem(np.array([0, 0, 2, 3]), np.array([2, 3, 1], np.int32), np.array([0.5, 0.25, 0.5], np.float32))
>>> table.sums(np.array([1, 2, 9]), videos=4).tolist()
[0.0, 0.5, 0.5, 0.25]
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class ItemItem:
    """The neighbours of row v lie from `starts[v]` to `starts[v + 1]`, the most similar first."""

    starts: NDArray[np.int64]  # [videos + 1], of the videos that training knew; row 0, the unknown, has none
    rows: NDArray[np.int32]
    similarity: NDArray[np.float32]  # as `fit_item_item` finds it, above 0
    scale: float = 1.0  # a mean similarity; what is divided by it is of one size in every data set

    def __post_init__(self) -> None:
        """Refuse arrays that do not make a table."""
        rising = len(self.starts) > 1 and self.starts[0] == 0 and bool((np.diff(self.starts) >= 0).all())
        if not rising or not len(self.rows) == len(self.similarity) == self.starts[-1]:
            raise ValueError(
                f"an item-item table came with {len(self.starts)} starts, {len(self.rows)} rows and "
                f"{len(self.similarity)} similarities; wanted starts that rise from 0 to the number of rows"
            )

    def sums(self, bag: NDArray[np.integer], *, videos: int) -> NDArray[np.float32]:
        """Each video's similarity to those of `bag`, added up: `[videos]`."""
        known = bag[bag < len(self.starts) - 1].tolist()
        spans = [slice(self.starts[row], self.starts[row + 1]) for row in known]
        if not spans:
            return np.zeros(videos, np.float32)
        rows, similarity = (np.concatenate([column[span] for span in spans]) for column in (self.rows, self.similarity))
        return np.bincount(rows, weights=similarity, minlength=videos).astype(np.float32)

    def columns(self) -> dict[str, NDArray[Any]]:
        """As named arrays, for the bundle's file."""
        return {
            "starts": self.starts,
            "rows": self.rows,
            "similarity": self.similarity,
            "scale": np.array([self.scale]),
        }

    @classmethod
    def from_columns(cls, columns: Mapping[str, NDArray[Any]]) -> "ItemItem":
        """What `columns` gave."""
        return cls(columns["starts"], columns["rows"], columns["similarity"], float(columns["scale"][0]))
