"""Fits the item-item table: which videos the same users met.

The more users met both of two videos, the more alike they are; but plain counts, and their cosine, mostly tell what the
service shows to everybody. So a video is placed in the directions in which its users differ most from others', each of
which counts alike, however many users it moves, and two videos are as alike as the cosine of their places
(docs/adr/0041). Pairs that fewer than `LEAST_USERS` met together are not looked at. Too few videos or users for
`LEAST_DIRECTIONS` have the cosine of the sets of users instead.

Bounded in memory by `parts_of`, `USERS_AT_ONCE` and `PLACES`, in the size of the table by `NEIGHBOURS`, and in time by
`drawn`, since a user who met n videos makes n² pairs.
"""

import dataclasses
from collections.abc import Iterator
from itertools import pairwise
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from watchnext.evaluation.baselines import best_of_each, drawn, meetings, parts_of, scaled_by_degrees
from watchnext.features.spec import HISTORY
from watchnext.generation.item_item import ItemItem
from watchnext.training.example_set import Pairs

NEIGHBOURS: Final = 300  # kept of a video (docs/adr/0033)
LEAST_USERS: Final = 2  # who met both: of two videos that one user alone met, the cosine is 1 and says nothing
TYPICAL: Final = 200  # users whose similarities give the scale
DIRECTIONS: Final = 1_024  # at most
VIDEOS_A_DIRECTION: Final = 8  # at least; with as many directions as videos, none would be like another
LEAST_DIRECTIONS: Final = 16
PLACES: Final = 500_000_000  # numbers of all places, 2 GB: 500 directions of a million videos
ROUNDS: Final = 3  # of the iteration that finds the directions
NO_DIRECTION: Final = 1e-5  # of the first one's squared singular value: less is rounding, not users
USERS_AT_ONCE: Final = 65_536

_Part = tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.float32]]  # video, neighbour, similarity
_Floats = NDArray[np.float32]


def fit_item_item(met: Pairs, *, videos: int) -> ItemItem:
    """The table of rows 0 to `videos`, from everybody's meetings; ties go to the lower row."""
    by_user = drawn(meetings(met.person, met.row, videos=videos))
    count = min(DIRECTIONS, videos // VIDEOS_A_DIRECTION, PLACES // max(1, videos))
    parts = list(_neighbours(by_user, _places(by_user, count)))
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


def _places(by_user: csr_matrix, count: int) -> _Floats | None:
    """The place of each video among at most `count` directions, of length 1: `[videos + 1, directions]`.

    None where there are fewer than `LEAST_DIRECTIONS`.
    """
    if count < LEAST_DIRECTIONS:
        return None
    found = leading_directions(by_user, count)
    found /= np.maximum(np.linalg.norm(found, axis=1, keepdims=True), np.float32(1e-9))
    return found if found.shape[1] >= LEAST_DIRECTIONS else None


def leading_directions(by_user: csr_matrix, count: int) -> _Floats:
    """The `count` leading right singular vectors but the first, which is popularity: `[videos + 1, count]`.

    Of the matrix of meetings, `[users, videos + 1]`, scaled by its degrees. It has no more than users: then they are
    fewer.
    """
    scaled = scaled_by_degrees(by_user).astype(np.float32)
    size = scaled.shape[1]
    random = np.random.default_rng(0).standard_normal((size, min(size, count + 16)), np.float32)
    basis, _ = np.linalg.qr(random)
    for _ in range(ROUNDS):
        basis, _ = np.linalg.qr(_squared(scaled, basis))
    values, turned = np.linalg.eigh(basis.T @ _squared(scaled, basis))  # rising
    found = min(count + 1, np.count_nonzero(values > NO_DIRECTION * values[-1]))
    return np.ascontiguousarray((basis @ turned[:, ::-1])[:, 1:found])


def _squared(matrix: csr_matrix, right: _Floats) -> _Floats:
    """`matrixᵀ @ matrix @ right`, some users at a time."""
    total = np.zeros_like(right)
    for start in range(0, matrix.shape[0], USERS_AT_ONCE):
        part = matrix[start : start + USERS_AT_ONCE]
        total += part.T @ (part @ right)
    return total


def _neighbours(by_user: csr_matrix, places: _Floats | None) -> Iterator[_Part]:
    """The best of each video, some videos at a time; without places, by the cosine of the sets of users."""
    by_video = by_user.T.tocsr()
    counts = np.diff(by_video.indptr).astype(np.float64)  # the product of two popular videos' passes 32 bits
    for start, stop in parts_of(by_video, np.diff(by_user.indptr)):
        both = (by_video[start:stop] @ by_user).tocoo()
        owner, row = both.row + start, both.col
        known = (both.data >= LEAST_USERS) & (owner != row)
        owner, row, users = owner[known], row[known], both.data[known]
        if places is None:
            similarity = (users / np.sqrt(counts[owner] * counts[row])).astype(np.float32)
        else:
            similarity = _cosines(places, owner, row)
        near = np.flatnonzero(similarity > 0)
        best = near[best_of_each(owner[near], row[near], similarity[near], NEIGHBOURS)]
        yield owner[best], row[best].astype(np.int32), similarity[best]


def _cosines(places: _Floats, owner: NDArray[np.int64], row: NDArray[np.int32]) -> _Floats:
    """Of the places of each pair; `owner` rises."""
    starts = np.flatnonzero(np.diff(owner, prepend=-1))
    spans = pairwise([*starts.tolist(), len(owner)])
    parts = [places[row[start:stop]] @ places[owner[start]] for start, stop in spans]
    return np.concatenate([np.zeros(0, np.float32), *parts])
