"""Why a video stands where it stands, and why another one does not.

A video drops out at one stage: it is unknown to the generation, it is being watched, it was seen, its country is
restricted, no source proposed it, or k better ones stand above it. Retrieval tells the first five; the guard, which
knows the ranking, tells the last.
"""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from watchnext.contracts.api import Explanation
from watchnext.contracts.envelope import Envelope
from watchnext.errors import RankerError
from watchnext.features.spec import RANKER_FEATURES

CONTRIBUTIONS: Final = 8  # shown for an item, by size
DEMOTIONS: Final = 3
DEMOTION_LOGIT: Final = 0.01  # a smaller pull (1 % of the expected seconds) is noise to a reader


def explanation_of(
    envelope: Envelope,
    *,
    index: int,
    position: int,
    score: float,
    long_view: float,
    features: NDArray[Any],
    contributions: NDArray[Any],
) -> Explanation:
    """Explains the candidate at `index` of the envelope, ranked to `position`.

    Args:
        envelope: The request.
        index: Place of the candidate in retrieval order.
        position: Place in the answer.
        score: Retrieval score.
        long_view: Probability of a long view.
        features: `[features]` continuous features before their normalisation.
        contributions: `[features]` gradient × input of each on the logit.

    Raises:
        RankerError: the ranker's features are not those of this release.
    """
    if not len(features) == len(contributions) == len(RANKER_FEATURES):
        raise RankerError(
            f"the ranker explained {len(contributions)} features; this release has {len(RANKER_FEATURES)}: "
            "run `watchnext pipeline run` to make a generation of this release",
            cause="answer",
        )
    pulls = {name: float(pull) for name, pull in zip(RANKER_FEATURES, contributions, strict=True)}
    largest = sorted(pulls, key=lambda name: (-abs(pulls[name]), name))[:CONTRIBUTIONS]
    return Explanation(
        nearest_watched=envelope.nearest_watched[index] if envelope.nearest_watched else "",
        retrieval_score=score,
        retrieval_position=index,
        long_view_probability=long_view,
        contributions={name: pulls[name] for name in largest},
        features={name: float(value) for name, value in zip(RANKER_FEATURES, features, strict=True)},
        demotions=demotions(pulls, moved=position - index),
    )


def demotions(pulls: dict[str, float], *, moved: int) -> list[str]:
    """What pulled a video down, in words, worst first.

    >>> demotions({"impressions": -0.5, "channel_watches": 0.2}, moved=3)
    ['3 places below its retrieval position', 'impressions: expected time x 0.61']
    """
    words = [f"{moved} places below its retrieval position"] if moved > 0 else []
    worst = sorted((pull, name) for name, pull in pulls.items() if pull <= -DEMOTION_LOGIT)[:DEMOTIONS]
    return words + [f"{name}: expected time x {np.exp(pull):.2f}" for pull, name in worst]


def why_not_retrieval_order(envelope: Envelope) -> dict[str, str]:
    """Each asked video's stage, where the order is retrieval's."""
    return _why_not(envelope, range(len(envelope.candidates.video_ids)), None)


def why_not_ranked(envelope: Envelope, expected_seconds: NDArray[Any]) -> dict[str, str]:
    """Each asked video's stage, where the ranker scored all candidates: `expected_seconds` is `[candidates]`."""
    if not envelope.why_not:
        return {}
    return _why_not(envelope, np.argsort(-expected_seconds, kind="stable").tolist(), expected_seconds)


def _why_not(envelope: Envelope, order: Sequence[int], expected_seconds: NDArray[Any] | None) -> dict[str, str]:
    stages = dict(envelope.why_not)
    asked = {video_id for video_id, stage in stages.items() if not stage}
    if not asked:
        return stages
    for place, index in enumerate(order):
        video_id = envelope.candidates.video_ids[index]
        if video_id not in asked:
            continue
        if place < envelope.k:
            stages[video_id] = f"it is in the list, at position {place}"
            continue
        stages[video_id] = f"below k: at position {place} of {len(order)} candidates, and k is {envelope.k}"
        if expected_seconds is not None:
            last = expected_seconds[order[envelope.k - 1]]
            stages[video_id] += f"; {expected_seconds[index]:.1f} s expected, the last of the list has {last:.1f} s"
    return stages
