"""Where the video embeddings of towers and ranker start: at vectors of who met what, not at random ones.

The paper's system has billions of next watches to learn ids from; a young service has few, and many more facts of the
kind "this user met that video". A truncated singular value decomposition of the matrix of users and videos puts videos
that the same users met near each other before the first step, and the examples go on from there (docs/adr/0032, 0037).
"""

from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from scipy.sparse.linalg import svds
from torch import Tensor

from watchnext.evaluation.baselines import scaled_by_degrees
from watchnext.training.example_set import Pairs

_TRIVIAL: Final = 1  # the first direction is popularity


def start_of_ids(met: Pairs, ids: NDArray[np.int32], width: int) -> Tensor:
    """Vectors `[embedding ids, width]` by who met the videos; `ids` are those of the video table's rows."""
    return torch.from_numpy(co_occurrence_vectors(met.person, ids[met.row], ids=int(ids.max()) + 1, width=width))


def co_occurrence_vectors(
    person: NDArray[np.integer], video: NDArray[np.integer], *, ids: int, width: int
) -> NDArray[np.float32]:
    """A vector of length 1 for each video that somebody met, zeros for the others and for id 0: `[ids, width]`.

    All are zeros where there are not more than `width` users and videos to tell apart.

    The matrix of ones is scaled by its degrees, and its first direction, which is popularity, is left out.

    Args:
        person: code of the user of each meeting, from 0; meetings may repeat.
        video: its embedding id; 0, the unknown, is left out.
        ids: how many there are.
        width: of a vector.
    """
    known = video > 0
    people, column = np.unique(person[known], return_inverse=True)[1], video[known]
    ones = np.ones(len(column), np.float64)
    met = csr_matrix((ones, (people, column)), shape=(int(people.max(initial=0)) + 1, ids))
    met.data[:] = 1.0  # a repeated meeting counts once
    rank = width + _TRIVIAL
    found = np.zeros((ids, width), np.float32)
    if rank >= min(met.shape):
        return found
    _, values, right = svds(scaled_by_degrees(met), k=rank, rng=np.random.default_rng(0))
    order = np.argsort(-values)[_TRIVIAL:]
    vectors = right[order].T * np.sqrt(values[order])
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    np.divide(vectors, length, out=vectors, where=length > 1e-9)
    found[:] = np.where(length > 1e-9, vectors, 0.0)
    found[0] = 0.0
    return found
