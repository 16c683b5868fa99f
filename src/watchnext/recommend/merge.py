"""Candidates of all sources as one list: a bit a source, one score, one order that ties cannot shake.

The score of a candidate is a log odds up to a constant, whichever source proposed it (docs/adr/0033): the towers' inner
product, which is one by its loss, plus what co-occurrence and recent popularity add. It depends on no other candidate.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from watchnext.contracts.names import Source

MET: Final = 0.3  # weights, chosen on a validation day
POPULARITY: Final = 0.15


@dataclass(frozen=True, slots=True)
class Affinity:
    """One user and all videos."""

    user: NDArray[np.float32]  # [dim]
    vectors: NDArray[np.float32]  # [V, dim]
    met: NDArray[np.float32]  # [V] mean similarity to what the user met, in the table's scale
    popularity: NDArray[np.float32]  # [V] log of decayed watches

    def scores(self, rows: NDArray[np.int32]) -> NDArray[np.float32]:
        """Of these videos, `[rows]`."""
        found = self.vectors[rows] @ self.user + MET * np.sqrt(self.met[rows]) + POPULARITY * self.popularity[rows]
        return found.astype(np.float32)


@dataclass(frozen=True, slots=True)
class Merged:
    """Candidates in retrieval order."""

    rows: NDArray[np.int32]  # [N]
    scores: NDArray[np.float32]  # [N] `Affinity.scores`
    sources: NDArray[np.int32]  # [N] bitmask


NOTHING: Final = Merged(np.zeros(0, np.int32), np.zeros(0, np.float32), np.zeros(0, np.int32))


def merge(
    tower: NDArray[np.int32],
    others: Mapping[Source, NDArray[np.int32]],
    fill: Callable[[], NDArray[np.int32]],
    *,
    count: int,
    affinity: Affinity,
) -> Merged:
    """At most `count` candidates: all of the other sources, then the tower's best, then `fill` where too few came.

    The order is by their score.

    Args:
        tower: `[n]` rows, best first; empty where the index is down.
        others: rows of each other source.
        fill: gives popular rows; called only where fewer than `count` were proposed.
        count: wanted candidates.
        affinity: scores the candidates.
    """
    bits: dict[int, int] = {}
    for source, rows in others.items():
        _add(bits, rows, source, count)
    _add(bits, tower, Source.TOWER, count)
    if len(bits) < count:
        more = fill()
        _add(bits, more[~np.isin(more, list(bits))], Source.POPULAR, count)
    found = np.fromiter(bits, np.int32, len(bits))
    scores = affinity.scores(found)
    order = np.lexsort((found, -scores))
    sources = np.fromiter(bits.values(), np.int32, len(bits))
    return Merged(found[order], scores[order], sources[order])


def _add(bits: dict[int, int], rows: NDArray[np.int32], source: Source, count: int) -> None:
    bit = int(source)  # an enum's own `|` takes longer than all else here
    for row in rows.tolist():
        if row in bits:
            bits[row] |= bit
        elif len(bits) < count:
            bits[row] = bit
