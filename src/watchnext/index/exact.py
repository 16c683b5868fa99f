"""Exact search by inner product: the oracle of the vector index, and the probe users' expected answers.

>>> rows, scores = exact_top_k(np.array([[0], [1], [3], [2]], np.float32), np.array([[2]], np.float32), 2)
>>> rows.tolist(), scores.tolist()
([[2, 3]], [[6.0, 4.0]])
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

NO_SCORE: Final = np.float32(-np.inf)
_CHUNK: Final = 256  # queries scored together: bounds memory to 256 × V scores


def exact_top_k(
    vectors: NDArray[np.float32], queries: NDArray[np.float32], k: int
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """The `k` best rows of each query by inner product, best first; ties go to the lower row.

    Args:
        vectors: `[rows, dim]`; row 0 is the unknown video and is never returned.
        queries: `[queries, dim]`.
        k: how many; where there are fewer rows the answer is padded with row 0 and a score of minus infinity.

    Returns:
        Rows and scores, `[queries, k]` each.
    """
    rows = np.zeros((len(queries), k), np.int32)
    scores = np.full((len(queries), k), NO_SCORE, np.float32)
    found = min(k, len(vectors) - 1)
    for start in range(0, len(queries), _CHUNK):
        chunk = slice(start, start + _CHUNK)
        products = queries[chunk] @ vectors[1:].T
        order = np.argsort(-products, axis=1, kind="stable")[:, :found]
        rows[chunk, :found] = order + 1
        scores[chunk, :found] = np.take_along_axis(products, order, axis=1)
    return rows, scores


def recall(found: NDArray[np.int32], expected: NDArray[np.int32]) -> float:
    """Mean share of `expected` rows that are among the `found` ones, both `[queries, k]`; padding (0) is left out."""
    shares = [
        np.isin(wanted[wanted > 0], got).mean() for got, wanted in zip(found, expected, strict=True) if wanted.any()
    ]
    return float(np.mean(shares)) if shares else 1.0
