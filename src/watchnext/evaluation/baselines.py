"""The contenders that every report stands beside: Popular, item-item cosine, and the mean watch time of a video.

All are fitted on the training part only. Video rows are those of the generation (0 = unknown).

>>> popular = Popular.fit(np.array([1, 2, 2]), videos=3)
>>> popular.scores([np.array([1])]).tolist()
[[0.0, 1.0, 2.0, 0.0]]
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix, diags, vstack

Rows = NDArray[np.integer]
MET: Final = 1_000  # videos of a user, about: of who met more, a share is drawn (`drawn`)
PAIRS: Final = 100_000_000  # similarities that item-item cosine keeps: all of them up to 10,000 videos
PAIRS_AT_ONCE: Final = 20_000_000
LAST_WATCHES = 20  # watches of a user that item-item cosine looks at
QUERIES_AT_ONCE = 256  # bounds the scores in memory: queries x videos
SCORES_AT_ONCE = 4_000_000  # bounds their copy


@dataclass(frozen=True)
class Popular:
    """The same list for everybody: watches in the training part."""

    counts: NDArray[np.float32]  # [videos + 1]

    @classmethod
    def fit(cls, watched: Rows, *, videos: int) -> "Popular":
        """From the row of every training watch."""
        counts = np.bincount(watched, minlength=videos + 1).astype(np.float32)
        counts[0] = 0
        return cls(counts)

    def scores(self, histories: Sequence[Rows]) -> NDArray[np.float32]:
        """`[queries, videos + 1]`."""
        return np.tile(self.counts, (len(histories), 1))


@dataclass(frozen=True)
class ItemCosine:
    """Sum over the user's last watches of the cosine between the sets of users who watched two videos.

    Of more videos than `PAIRS` has room for, each keeps its best, and of a user who met very many a share is drawn.
    """

    similarity: csr_matrix  # [videos + 1, videos + 1], zero diagonal

    @classmethod
    def fit(cls, users: Rows, watched: Rows, *, videos: int) -> "ItemCosine":
        """From (user code, video row) of every training watch; repeated watches count once."""
        matrix = meetings(users, watched, videos=videos)
        kept = max(1, PAIRS // matrix.shape[1])  # of each video
        if kept < matrix.shape[1]:
            matrix = drawn(matrix)
        norms = np.sqrt(np.maximum(np.asarray(matrix.sum(0)).ravel(), 1))
        scaled = matrix.multiply(1 / norms).tocsr()
        by_video = scaled.T.tocsr()
        parts = []
        for start, stop in parts_of(by_video, np.diff(scaled.indptr)):
            part = (by_video[start:stop] @ scaled).tocsr()
            part.data[part.indices == np.repeat(np.arange(start, stop), np.diff(part.indptr))] = 0  # with itself
            part.eliminate_zeros()
            parts.append(_best(part, kept))
        return cls(vstack(parts, "csr"))

    def scores(self, histories: Sequence[Rows]) -> NDArray[np.float32]:
        """`[queries, videos + 1]`; a history runs from old to new."""
        recent = [history[-LAST_WATCHES:] for history in histories]
        lengths = [len(history) for history in recent]
        columns = np.concatenate([*recent, np.zeros(0, np.int64)])
        rows = np.repeat(np.arange(len(recent)), lengths)
        taken = csr_matrix(
            (np.ones(len(columns), np.float32), (rows, columns)), shape=(len(recent), self.similarity.shape[0])
        )
        return np.asarray((taken @ self.similarity).todense(), np.float32)


@dataclass(frozen=True)
class VideoMean:
    """Mean watched seconds an impression of the video, drawn to the overall mean by `PRIOR` impressions."""

    means: NDArray[np.float64]  # [videos + 1]
    PRIOR = 20.0

    @classmethod
    def fit(cls, shown: Rows, seconds: NDArray[np.floating], *, videos: int) -> "VideoMean":
        """From the row and the watched seconds (0 = not clicked) of every training impression."""
        overall = float(seconds.mean()) if len(seconds) else 0.0
        impressions = np.bincount(shown, minlength=videos + 1)
        watched = np.bincount(shown, weights=seconds, minlength=videos + 1)
        means = (watched + cls.PRIOR * overall) / (impressions + cls.PRIOR)
        means[0] = overall
        return cls(means)

    def expected_seconds(self, shown: Rows) -> NDArray[np.float64]:
        """`[impressions]`."""
        return self.means[shown]


def meetings(users: Rows, rows: Rows, *, videos: int) -> csr_matrix:
    """1 where a user met a video, however often: `[users, videos + 1]`; the unknown video is met by nobody."""
    known = rows > 0
    pairs = np.unique(np.stack([users[known], rows[known]]), axis=1)
    ones = np.ones(pairs.shape[1], np.float32)
    people = int(pairs[0].max()) + 1 if pairs.size else 1
    return csr_matrix((ones, (pairs[0], pairs[1])), shape=(people, videos + 1))


def drawn(by_user: csr_matrix) -> csr_matrix:
    """The meetings, without a drawn share of those of users with more than `MET`: who met n makes n² pairs."""
    sizes = np.diff(by_user.indptr)
    draw = np.random.default_rng(0).random(by_user.nnz)
    kept = by_user.copy()
    kept.data[draw * np.repeat(sizes, sizes) >= MET] = 0
    kept.eliminate_zeros()
    return kept


def scaled_by_degrees(by_user: csr_matrix) -> csr_matrix:
    """Divided by the square roots of what lines and columns sum to: neither heavy users nor popular videos rule it."""
    scale = [diags(1 / np.sqrt(np.maximum(np.asarray(by_user.sum(axis)).ravel(), 1))) for axis in (1, 0)]
    return (scale[0] @ by_user @ scale[1]).tocsr()


def parts_of(by_video: csr_matrix, met: NDArray[np.integer]) -> Iterator[tuple[int, int]]:
    """First video and end of each part whose product with the meetings adds up about `PAIRS_AT_ONCE` numbers.

    Args:
        by_video: `[videos, users]`.
        met: videos that each user met, `[users]`.
    """
    pairs = np.cumsum((by_video != 0).astype(np.int64) @ met.astype(np.int64))
    cuts = (np.flatnonzero(np.diff(pairs // PAIRS_AT_ONCE)) + 1).tolist()
    yield from zip([0, *cuts], [*cuts, by_video.shape[0]], strict=True)


def best_of_each(owner: Rows, row: Rows, value: NDArray[np.floating], count: int) -> NDArray[np.int64]:
    """Places of the `count` largest values of each owner, by owner and falling value; ties go to the lower row."""
    order = np.lexsort((row, -value, owner))
    owner = owner[order]
    place = np.arange(len(owner)) - np.searchsorted(owner, owner)  # among its owner's
    return np.asarray(order[place < count])


def ranked_rows(scores: Callable[[slice], NDArray[np.floating]], seen: Sequence[Rows], depth: int) -> NDArray[np.int64]:
    """`top_rows` of every query, `[queries, depth]`; `scores` makes those of some at a time, `[some, videos]`."""
    parts = [slice(start, start + QUERIES_AT_ONCE) for start in range(0, len(seen), QUERIES_AT_ONCE)]
    lists = [top_rows(scores(part), seen[part], depth) for part in parts]
    return np.concatenate([np.zeros((0, depth), np.int64), *lists])


def top_rows(scores: NDArray[np.floating], seen: Sequence[Rows], depth: int) -> NDArray[np.int64]:
    """The `depth` best rows a query, `[queries, depth]`, then 0; ties by row.

    Never row 0, a seen video, or a video whose score is not finite.
    """
    at_once = max(1, SCORES_AT_ONCE // max(1, scores.shape[1]))
    starts = range(0, len(scores), at_once)
    parts = [_top_rows(scores[start : start + at_once], seen[start : start + at_once], depth) for start in starts]
    return np.concatenate([np.zeros((0, depth), np.int64), *parts])


def _best(part: csr_matrix, count: int) -> csr_matrix:
    """With the `count` largest of each row alone; ties go to the lower column."""
    lengths = np.diff(part.indptr)
    crowded = np.flatnonzero(np.repeat(lengths > count, lengths))
    owner = np.repeat(np.arange(part.shape[0]), lengths)[crowded]
    best = best_of_each(owner, part.indices[crowded], part.data[crowded], count)
    part.data[np.delete(crowded, best)] = 0
    part.eliminate_zeros()
    return part


def _top_rows(scores: NDArray[np.floating], seen: Sequence[Rows], depth: int) -> NDArray[np.int64]:
    masked = np.where(np.isfinite(scores), scores, -np.inf)
    masked[:, 0] = -np.inf
    masked[np.repeat(np.arange(len(seen)), [len(rows) for rows in seen]), np.concatenate(seen)] = -np.inf
    taken = min(depth, masked.shape[1])
    last = np.partition(masked, masked.shape[1] - taken, axis=1)[:, -taken, None]
    chosen = masked >= last
    crowded = np.flatnonzero(chosen.sum(1) > taken)  # more videos tie with the last place than fit: the first rows do
    tied = masked[crowded] == last[crowded]
    surplus = chosen[crowded].sum(1, keepdims=True) - taken
    places = tied.sum(1, keepdims=True) - surplus
    chosen[crowded] &= ~tied | (np.cumsum(tied, 1) <= places)
    rows = np.nonzero(chosen)[1].reshape(len(masked), taken)
    best = np.take_along_axis(masked, rows, 1)
    order = np.argsort(-best, axis=1, kind="stable")
    ranked = np.zeros((len(masked), depth), np.int64)
    ranked[:, :taken] = np.where(np.isfinite(best), rows, 0)[np.arange(len(masked))[:, None], order]
    return ranked
