"""Fits the item-item table: which videos the same users met, by the cosine of the sets of these users.

Bounded in memory by `parts_of`, in the size of the table by `NEIGHBOURS`, and in time by `drawn`, since a user who met
n videos makes n² pairs.
"""

import dataclasses
from collections.abc import Iterator
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from watchnext.evaluation.baselines import best_of_each, drawn, meetings, parts_of
from watchnext.features.spec import HISTORY
from watchnext.generation.item_item import ItemItem
from watchnext.training.example_set import Pairs

NEIGHBOURS: Final = 300  # kept of a video (docs/adr/0033)
LEAST_USERS: Final = 2  # who met both: of two videos that one user alone met, the cosine is 1 and says nothing
TYPICAL: Final = 200  # users whose similarities give the scale

_Part = tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.float32]]  # video, neighbour, similarity


def fit_item_item(met: Pairs, *, videos: int) -> ItemItem:
    """The table of rows 0 to `videos`, from everybody's meetings; ties go to the lower row."""
    by_user = drawn(meetings(met.person, met.row, videos=videos))
    parts = list(_neighbours(by_user))
    owner, rows, similarity = (np.concatenate(column) for column in zip(*parts, strict=True))
    starts = np.concatenate([[0], np.cumsum(np.bincount(owner, minlength=videos + 1))])
    table = ItemItem(starts, rows, similarity)
    return dataclasses.replace(table, scale=_scale(table, by_user))


def _scale(table: ItemItem, by_user: csr_matrix) -> float:
    """The variance over videos of the root of the mean similarity to what a user met, of a typical user."""
    random = np.random.default_rng(0)
    people = random.permutation(np.flatnonzero(np.diff(by_user.indptr)))[:TYPICAL]
    spreads = []
    for person in people.tolist():
        bag = random.permutation(by_user.indices[by_user.indptr[person] : by_user.indptr[person + 1]])[:HISTORY]
        spreads.append(np.sqrt(table.sums(bag, videos=by_user.shape[1]) / len(bag)).std())
    return float(np.mean(spreads)) ** 2 if any(spreads) else 1.0


def _neighbours(by_user: csr_matrix) -> Iterator[_Part]:
    """The best of each video, some videos at a time."""
    by_video = by_user.T.tocsr()
    counts = np.diff(by_video.indptr).astype(np.float64)  # the product of two popular videos' passes 32 bits
    for start, stop in parts_of(by_video, np.diff(by_user.indptr)):
        both = (by_video[start:stop] @ by_user).tocoo()
        owner, row = both.row + start, both.col
        known = (both.data >= LEAST_USERS) & (owner != row)
        owner, row, users = owner[known], row[known], both.data[known]
        similarity = (users / np.sqrt(counts[owner] * counts[row])).astype(np.float32)
        best = best_of_each(owner, row, similarity, NEIGHBOURS)
        yield owner[best], row[best].astype(np.int32), similarity[best]
