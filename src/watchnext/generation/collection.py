"""A generation's collection in Milvus: written, and verified to answer the probe users as exact search does."""

from typing import Final

import numpy as np
import structlog

from watchnext.errors import GenerationError
from watchnext.generation.bundle import Bundle
from watchnext.generation.vectors import encoded_users, user_vectors
from watchnext.index.exact import exact_top_k, recall
from watchnext.index.milvus import VideoIndex

log = structlog.get_logger()

RECALL_AT: Final = 100
SAMPLE: Final = 100  # stored vectors that are compared before a collection is taken as written
MIN_RECALL: Final = 0.95


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
    users = user_vectors(bundle.tower, bundle.videos, encoded_users(bundle.vocabularies, bundle.probes))
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
