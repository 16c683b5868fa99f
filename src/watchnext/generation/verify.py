"""Does a loaded generation answer as it did when it was built, and does Milvus answer as exact search does?

The probe users are feature rows that travel with the bundle. Their expected top videos were found by exact search at
building time; a bundle whose towers, vocabularies or feature code have changed meaning does not find them again.
"""

from typing import Final

import numpy as np
import structlog
from numpy.typing import NDArray

from watchnext.errors import GenerationError
from watchnext.features.videos import VideoTable
from watchnext.generation.bundle import Bundle, Probe
from watchnext.generation.vectors import user_vectors
from watchnext.index.exact import exact_top_k, recall
from watchnext.index.milvus import VideoIndex

log = structlog.get_logger()

PROBE_TOP: Final = 10
RECALL_AT: Final = 100
SAMPLE: Final = 100  # stored vectors that are compared before a collection is taken as written
MIN_RECALL: Final = 0.95
TIE: Final = 1e-4  # relative: scores as near as this may swap places, since machines sum in different orders


def expected_top(users: NDArray[np.float32], vectors: NDArray[np.float32], videos: VideoTable) -> list[tuple[str, ...]]:
    """Ids of the `PROBE_TOP` best videos of each user vector, by exact search."""
    rows, _ = exact_top_k(vectors, users, PROBE_TOP)
    return [tuple(videos.video_ids[row] for row in found if row) for found in rows.tolist()]


def verify_probes(bundle: Bundle) -> None:
    """Nothing, where every probe user gets the expected videos in the expected order, but for ties.

    Raises:
        GenerationError: one does not; the error names it and the place.
    """
    users = user_vectors(bundle.tower, bundle.vocabularies, bundle.videos, bundle.probes)
    _, best = exact_top_k(bundle.vectors, users, PROBE_TOP)
    for number, (probe, user, scores) in enumerate(zip(bundle.probes, users, best, strict=True)):
        place = _first_difference(bundle, probe, user, scores)
        if place is not None:
            raise GenerationError(
                f"probe user {number} of {bundle.manifest.target} no longer gets video {probe.expected[place]} at "
                f"place {place + 1}: the feature or model code changed under the generation; retrain with "
                "`watchnext pipeline run`"
            )


def load_index(bundle: Bundle, index: VideoIndex) -> None:
    """Write the bundle's vectors into its collection, unless just these are there already.

    Raises:
        VectorIndexError: Milvus is down.
    """
    rows = np.arange(1, len(bundle.vectors), dtype=np.int32)
    sample = rows[:: max(1, len(rows) // SAMPLE)]
    if index.count(bundle.collection) == len(rows):
        if np.array_equal(index.vectors(bundle.collection, sample), bundle.vectors[sample]):
            return
        log.warning("generation.collection_replaced", collection=bundle.collection)
    index.create(bundle.collection, rows, bundle.vectors[1:])


def verify_index(bundle: Bundle, index: VideoIndex) -> float:
    """Recall of the probe users' nearest videos in Milvus against exact search, which is `MIN_RECALL` at least.

    Raises:
        GenerationError: too few rows, or too little recall.
        VectorIndexError: Milvus is down, or has no collection of this generation and overlay.
    """
    count = index.count(bundle.collection)
    if count != bundle.manifest.videos:
        raise GenerationError(
            f"collection {bundle.collection} has {count} rows; {bundle.manifest.target} has {bundle.manifest.videos} "
            "videos: publish it again"
        )
    users = user_vectors(bundle.tower, bundle.vocabularies, bundle.videos, bundle.probes)
    top = max(1, min(RECALL_AT, bundle.manifest.videos // 2))
    found, _ = index.search(bundle.collection, users, top)
    expected, _ = exact_top_k(bundle.vectors, users, top)
    share = recall(found, expected)
    if share < MIN_RECALL:
        raise GenerationError(
            f"collection {bundle.collection} finds {share:.3f} of the true top {top}; wanted {MIN_RECALL} at least: "
            "publish again, and if that does not mend it widen the search (HNSW and MIN_EF in watchnext.index.milvus)"
        )
    return share


def _first_difference(
    bundle: Bundle, probe: Probe, user: NDArray[np.float32], scores: NDArray[np.float32]
) -> int | None:
    """The first place at which the expected video scores other than the best one there does."""
    rows = bundle.vocabularies.videos.indices(probe.expected)
    again = bundle.vectors[rows] @ user
    for place, (row, score, best) in enumerate(zip(rows, again, scores, strict=False)):
        if row == 0 or abs(float(score) - float(best)) > TIE * max(1.0, abs(float(best))):
            return place
    return None
