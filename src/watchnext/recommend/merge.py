"""Candidates of all sources as one list: a bit a source, one score, one order that ties cannot shake."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from watchnext.contracts.names import Source


@dataclass(frozen=True, slots=True)
class Merged:
    """Candidates in retrieval order."""

    rows: NDArray[np.int32]  # [N]
    scores: NDArray[np.float32]  # [N] inner product of user and video
    sources: NDArray[np.int32]  # [N] bitmask


NOTHING: Final = Merged(np.zeros(0, np.int32), np.zeros(0, np.float32), np.zeros(0, np.int32))


def merge(
    tower: NDArray[np.int32],
    others: Mapping[Source, NDArray[np.int32]],
    fill: Callable[[], NDArray[np.int32]],
    *,
    count: int,
    user: NDArray[np.float32],
    vectors: NDArray[np.float32],
) -> Merged:
    """At most `count` candidates: all of the other sources, then the tower's best, then `fill` where too few came.

    Every candidate is scored by the user's vector, whichever source proposed it, and the order is by that score.

    Args:
        tower: `[n]` rows, best first; empty where the index is down.
        others: rows of each other source.
        fill: gives popular rows; called only where fewer than `count` were proposed.
        count: wanted candidates.
        user: `[dim]`.
        vectors: `[videos, dim]`.
    """
    bits: dict[int, int] = {}
    for source, rows in others.items():
        _add(bits, rows, source, count)
    _add(bits, tower, Source.TOWER, count)
    if len(bits) < count:
        more = fill()
        _add(bits, more[~np.isin(more, list(bits))], Source.POPULAR, count)
    found = np.fromiter(bits, np.int32, len(bits))
    scores = vectors[found] @ user
    order = np.lexsort((found, -scores))
    sources = np.fromiter(bits.values(), np.int32, len(bits))
    return Merged(found[order], scores[order].astype(np.float32), sources[order])


def _add(bits: dict[int, int], rows: NDArray[np.int32], source: Source, count: int) -> None:
    bit = int(source)  # an enum's own `|` takes longer than all else here
    for row in rows.tolist():
        if row in bits:
            bits[row] |= bit
        elif len(bits) < count:
            bits[row] = bit
