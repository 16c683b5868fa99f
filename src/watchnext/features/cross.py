"""Cross features: what the ranker reads of a user together with each candidate. The only implementation.

Training calls `cross_features` on point-in-time states, TorchServe's handler on the states of requests. Every operation
works on one candidate at a time (gathers, sums of whole numbers, one rounding to float32 at the end), so that a
candidate's features do not depend on its neighbours, to the last bit. Raw values: `QuantileNormalizer` shapes them.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from watchnext.features.spec import NEVER_DAYS, RANKER_FEATURES, SOURCES
from watchnext.features.state import EncodedUser
from watchnext.features.videos import CandidateVideos

__all__ = ["RANKER_FEATURES", "cross_features"]

DAY_MS = 86_400_000
Doubles = NDArray[np.float64]

# A young video's rates lean on this many imaginary impressions or watches of the average kind.
PRIOR_IMPRESSIONS = 20.0
PRIOR_CLICK_RATE = 0.1
PRIOR_WATCHES = 5.0
PRIOR_FRACTION = 0.5


def cross_features(
    user: EncodedUser,
    candidates: CandidateVideos,
    scores: NDArray[Any],
    sources: NDArray[Any],
) -> NDArray[np.float32]:
    """Features `[candidates, len(RANKER_FEATURES)]` of one user with `candidates` at `user.now_ms`.

    Args:
        user: the encoded user.
        candidates: their columns in the video table.
        scores: retrieval scores, `[candidates]`.
        sources: bitmask of `spec.SOURCES`, `[candidates]`.

    Raises:
        ValueError: scores or sources are of another length than candidates.
    """
    count = len(candidates)
    if len(scores) != count or len(sources) != count:
        raise ValueError(f"{count} candidates came with {len(scores)} scores and {len(sources)} source masks")
    columns: dict[str, Doubles | float] = {
        "retrieval_score": np.asarray(scores, dtype=np.float64),
        **{f"from_{name}": (np.asarray(sources) >> bit & 1).astype(np.float64) for bit, name in enumerate(SOURCES)},
        **_earlier(user, candidates),
        **_tastes(user, candidates),
        **_video(user, candidates),
        **_user(user),
    }
    features = np.empty((count, len(RANKER_FEATURES)), dtype=np.float32)
    for at, name in enumerate(RANKER_FEATURES):
        features[:, at] = columns[name]
    return features


def _earlier(user: EncodedUser, candidates: CandidateVideos) -> dict[str, Doubles | float]:
    """What happened between the user and this very video."""
    ones = np.ones(len(user.history), dtype=np.int64)
    watched, watched_at = _lookup(user.history, ones, user.history_at, candidates.row)
    shown, shown_at = _lookup(user.shown, user.shown_counts, user.shown_at, candidates.row)
    served, served_at = _lookup(user.served, user.served_counts, user.served_at, candidates.row)
    return {
        "watches_of_video": watched,
        "days_since_video_watch": _days_since(watched_at, user.now_ms),
        "impressions_of_video": shown,
        "days_since_impression": _days_since(shown_at, user.now_ms),
        "servings_of_video": served,
        "days_since_serving": _days_since(served_at, user.now_ms),
    }


def _tastes(user: EncodedUser, candidates: CandidateVideos) -> dict[str, Doubles | float]:
    """What the user watched of the candidate's channel and topics."""
    channel, channel_at = _lookup(user.channels, user.channel_watches, user.channel_at, candidates.channel)
    topics, topics_at = _lookup(user.topics, user.topic_watches, user.topic_at, candidates.topics.ravel())
    shape = candidates.topics.shape
    return {
        "watches_of_channel": channel,
        "days_since_channel": _days_since(channel_at, user.now_ms),
        "watches_of_topics": topics.reshape(shape).sum(axis=1),
        "days_since_topic": _days_since(topics_at.reshape(shape).max(axis=1), user.now_ms),
    }


def _video(user: EncodedUser, candidates: CandidateVideos) -> dict[str, Doubles | float]:
    """What the video is and how it fared with all users."""
    seconds = candidates.seconds.astype(np.float64)
    impressions = candidates.impressions.astype(np.float64)
    clicks = candidates.clicks.astype(np.float64)
    watches = candidates.watches.astype(np.float64)
    imagined = PRIOR_WATCHES * PRIOR_FRACTION * seconds
    mean_seconds = (candidates.watch_seconds.astype(np.float64) + imagined) / (watches + PRIOR_WATCHES)
    return {
        "days_since_upload": np.maximum(user.now_ms - candidates.uploaded_at, 0) / DAY_MS,
        "video_seconds": seconds,
        "video_impressions": impressions,
        "video_clicks": clicks,
        "video_watches": watches,
        "video_click_rate": (clicks + PRIOR_IMPRESSIONS * PRIOR_CLICK_RATE) / (impressions + PRIOR_IMPRESSIONS),
        "video_mean_seconds": mean_seconds,
        "video_mean_fraction": mean_seconds / np.maximum(seconds, 1.0),
    }


def _user(user: EncodedUser) -> dict[str, Doubles | float]:
    """What holds for all candidates alike."""
    watched = len(user.history) or 1
    return {
        "user_watches": user.watches,
        "user_mean_seconds": float(np.sum(user.history_seconds, dtype=np.float64)) / watched,
        "user_mean_fraction": float(np.sum(user.history_fractions, dtype=np.float64)) / watched,
        "user_impressions": user.impressions,
        "user_watches_per_impression": user.watches / (user.impressions + PRIOR_IMPRESSIONS),
        "days_since_last_watch": _days_since(user.history_at[-1:].max(initial=0), user.now_ms),
        "days_since_last_query": _days_since(np.int64(user.last_query_at), user.now_ms),
        "age_years": max(user.age, 0.0),
        "age_missing": float(user.age < 0),
    }


def _lookup(
    keys: NDArray[np.int32], counts: NDArray[Any], times: NDArray[np.int64], wanted: NDArray[np.int32]
) -> tuple[Doubles, NDArray[np.int64]]:
    """Sum of `counts` and latest of `times` over the `keys` equal to each of `wanted`; 0 and 0 where there is none.

    Index 0 is "unknown" and equals nothing.
    """
    if not len(keys):
        return np.zeros(wanted.shape), np.zeros(wanted.shape, dtype=np.int64)
    known, inverse = np.unique(keys, return_inverse=True)
    count = np.bincount(inverse, weights=counts)
    latest = np.zeros(len(known), dtype=np.int64)
    np.maximum.at(latest, inverse, times)
    at = np.minimum(np.searchsorted(known, wanted), len(known) - 1)
    found = (known[at] == wanted) & (wanted > 0)
    return np.where(found, count[at], 0.0), np.where(found, latest[at], 0)


def _days_since(at_ms: Any, now_ms: int) -> Any:
    """Days from `at_ms` to now, at least 0; NEVER_DAYS where `at_ms` is 0 (never)."""
    return np.where(at_ms > 0, np.clip((now_ms - at_ms) / DAY_MS, 0.0, NEVER_DAYS), NEVER_DAYS)
