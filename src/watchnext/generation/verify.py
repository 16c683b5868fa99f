"""Does a loaded generation answer as it did when it was built, and does Milvus answer as exact search does?

The probe users are feature rows that travel with the bundle. Their expected top videos were found by exact search at
building time, and scored by the ranker; a bundle whose models, quantiles, vocabularies or feature code have changed
meaning does not find them, or not with the same expected seconds.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
import structlog
from numpy.typing import NDArray

from watchnext.contracts.names import Source
from watchnext.errors import GenerationError
from watchnext.features.quantiles import QuantileNormalizer
from watchnext.features.state import EncodedUser
from watchnext.features.videos import VideoTable
from watchnext.features.vocabulary import Vocabularies
from watchnext.generation.bundle import Bundle, Probe, ProbeUser
from watchnext.generation.vectors import encoded_users, user_vectors
from watchnext.index.exact import exact_top_k, recall
from watchnext.index.milvus import VideoIndex
from watchnext.models.ranker import Ranker
from watchnext.models.scorer import Scorer
from watchnext.models.towers import TwoTower

log = structlog.get_logger()

PROBE_TOP: Final = 10
RECALL_AT: Final = 100
SAMPLE: Final = 100  # stored vectors that are compared before a collection is taken as written
MIN_RECALL: Final = 0.95
TIE: Final = 1e-4  # relative: scores as near as this may swap places, since machines sum in different orders
SECONDS_TOLERANCE: Final = 1e-4  # relative, for the same reason


def answered(
    users: Sequence[ProbeUser],
    *,
    tower: TwoTower,
    ranker: Ranker,
    quantiles: QuantileNormalizer,
    vocabularies: Vocabularies,
    videos: VideoTable,
    vectors: NDArray[np.float32],
) -> list[Probe]:
    """Each user with its `PROBE_TOP` best videos by exact search, and the expected seconds of these."""
    encoded = encoded_users(vocabularies, users)
    tops, scores = exact_top_k(vectors, user_vectors(tower, videos, encoded), PROBE_TOP)
    scorer = _scorer(ranker, quantiles, videos)
    probes = []
    for user, state, top, score in zip(users, encoded, tops, scores, strict=True):
        rows, found = top[top > 0], score[top > 0]
        expected = tuple(videos.video_ids[row] for row in rows.tolist())
        seconds = _seconds(scorer, state, rows, found)
        probes.append(Probe(user.row, user.context, expected, tuple(found.tolist()), tuple(seconds.tolist())))
    return probes


def verify_probes(bundle: Bundle) -> None:
    """Nothing, where every probe user gets the expected videos in the expected order, but for ties, and seconds.

    Raises:
        GenerationError: one does not; the error names it and the place or the video.
    """
    encoded = encoded_users(bundle.vocabularies, bundle.probes)
    users = user_vectors(bundle.tower, bundle.videos, encoded)
    _, best = exact_top_k(bundle.vectors, users, PROBE_TOP)
    scorer = _scorer(bundle.ranker, bundle.quantiles, bundle.videos)
    for number, (probe, state, user, scores) in enumerate(zip(bundle.probes, encoded, users, best, strict=True)):
        rows = bundle.vocabularies.videos.indices(probe.expected)
        place = _first_difference(rows, bundle.vectors[rows] @ user, scores)
        if place is not None:
            raise GenerationError(
                f"probe user {number} of {bundle.manifest.target} no longer gets video {probe.expected[place]} at "
                f"place {place + 1}: the feature or model code changed under the generation; retrain with "
                "`watchnext pipeline run`"
            )
        seconds = _seconds(scorer, state, rows, np.array(probe.scores, np.float32))
        for video, found, wanted in zip(probe.expected, seconds.tolist(), probe.seconds, strict=True):
            if not abs(found - wanted) <= SECONDS_TOLERANCE * wanted:
                raise GenerationError(
                    f"probe user {number} of {bundle.manifest.target} is expected to watch video {video} for "
                    f"{found:.6g} s; it was {wanted:.6g} s when the generation was built: the feature or model code "
                    "changed under the generation; retrain with `watchnext pipeline run`"
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


def _scorer(ranker: Ranker, quantiles: QuantileNormalizer, videos: VideoTable) -> Scorer:
    """A scorer that answers nobody's request, and so needs no generation."""
    return Scorer(ranker, quantiles, videos, generation="", overlay=0)


def _seconds(
    scorer: Scorer, user: EncodedUser, rows: NDArray[np.int32], scores: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Expected seconds of `rows` that the tower found with `scores`, which are part of the ranker's input."""
    answer, _ = scorer.score(user, rows, scores, np.full(len(rows), Source.TOWER, np.int32))
    return answer["expected_seconds"]


def _first_difference(rows: NDArray[np.int32], again: NDArray[np.float32], scores: NDArray[np.float32]) -> int | None:
    """The first place at which the expected video, row of `rows`, scores other than the best one there does."""
    for place, (row, score, best) in enumerate(zip(rows, again, scores, strict=False)):
        if row == 0 or abs(float(score) - float(best)) > TIE * max(1.0, abs(float(best))):
            return place
    return None
