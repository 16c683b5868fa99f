"""Does a loaded generation answer as it did when it was built?

The probe users are feature rows that travel with the bundle. Their expected top videos were found by exact search at
building time, and scored by the ranker; a bundle whose models, quantiles, vocabularies or feature code have changed
meaning does not find them, or not with the same expected seconds.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from watchnext.contracts.names import Source
from watchnext.errors import GenerationError
from watchnext.features.quantiles import QuantileNormalizer
from watchnext.features.state import EncodedUser
from watchnext.features.videos import VideoTable
from watchnext.features.vocabulary import Vocabularies
from watchnext.generation.bundle import Bundle, Probe, ProbeUser
from watchnext.generation.vectors import encoded_users, user_vectors
from watchnext.index.exact import exact_top_k
from watchnext.models.ranker import Ranker
from watchnext.models.scorer import Scorer
from watchnext.models.towers import TwoTower

PROBE_TOP: Final = 10
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
        if row == 0 or not abs(float(score) - float(best)) <= TIE * max(1.0, abs(float(best))):  # or it is NaN
            return place
    return None
