"""Cross features: what the ranker reads of a user together with each candidate. The only implementation.

Training calls it on many point-in-time states at once, TorchServe's handler on the one user of a request. Every
operation works on one candidate at a time (gathers, sums in the order of the user's own list, one rounding to float32
at the end), so that a candidate's features do not depend on its neighbours, nor on the other users, to the last bit.
Raw values: `QuantileNormalizer` shapes them.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from watchnext.features.spec import DAY_MS, HISTORY, HOUR_MS, NEVER_DAYS, RANKER_FEATURES, SOURCES
from watchnext.features.state import EncodedUser
from watchnext.features.videos import CandidateVideos

__all__ = ["RANKER_FEATURES", "cross_features", "cross_features_of_many"]

Doubles = NDArray[np.float64]
Longs = NDArray[np.int64]

# What the rates and means of a young video, or of a new user, lean on: so many imaginary impressions or watches that
# came to the `Averages`.
PRIOR = 5.0


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
    return cross_features_of_many([user], np.zeros(len(candidates), np.int64), candidates, scores, sources)


def cross_features_of_many(
    users: Sequence[EncodedUser],
    user_of: NDArray[Any],
    candidates: CandidateVideos,
    scores: NDArray[Any],
    sources: NDArray[Any],
) -> NDArray[np.float32]:
    """`cross_features` of the candidates of many users: candidate i is shown to `users[user_of[i]]`.

    Raises:
        ValueError: `user_of`, scores or sources are of another length than candidates.
    """
    count = len(candidates)
    if not len(user_of) == len(scores) == len(sources) == count:
        raise ValueError(
            f"{count} candidates came with {len(scores)} scores, {len(sources)} source masks and {len(user_of)} users"
        )
    asked = _Asked(users, np.asarray(user_of, dtype=np.int64), candidates)
    columns: dict[str, Doubles] = {
        "retrieval_score": np.asarray(scores, dtype=np.float64),
        **{f"from_{name}": (np.asarray(sources) >> bit & 1).astype(np.float64) for bit, name in enumerate(SOURCES)},
        **_earlier(asked),
        **_tastes(asked),
        **_video(asked),
        **_user(asked),
        **_shown(asked),
    }
    features = np.empty((count, len(RANKER_FEATURES)), dtype=np.float32)
    for at, name in enumerate(RANKER_FEATURES):
        features[:, at] = columns[name]
    return features


@dataclass(frozen=True)
class _Asked:
    """Users, and the candidates that each of them is asked about."""

    users: Sequence[EncodedUser]
    user_of: Longs  # [candidates]
    videos: CandidateVideos

    @cached_property
    def now_ms(self) -> Longs:
        """The time of each candidate's request, `[candidates]`."""
        return self.each(lambda user: user.now_ms, np.int64)

    def each(self, of_user: Callable[[EncodedUser], Any], kind: type[np.generic] = np.float64) -> NDArray[Any]:
        """A number of the user, at each candidate."""
        return np.array([of_user(user) for user in self.users], dtype=kind)[self.user_of]

    def mean(self, values: str, average: float) -> Doubles:
        """Mean of a list of the user, which leans on the `average` of all, at each candidate."""
        lists = [getattr(user, values) for user in self.users]
        owner = _owner(lists)
        total = np.bincount(owner, weights=np.concatenate(lists), minlength=len(lists))
        return _leaning(total, np.bincount(owner, minlength=len(lists)), average)[self.user_of]

    def tally(self, keys: str, counts: str, times: str) -> "_Tally":
        """Of lists of the users, by their names. Without `counts` each key counts 1."""
        lists = [getattr(user, keys) for user in self.users]
        owned = _owner(lists) << 32 | np.concatenate(lists)  # a user's own key: indices have 31 bits
        if not len(owned):
            return _Tally(owned, np.zeros(0), owned)
        known, inverse = np.unique(owned, return_inverse=True)
        weights = np.concatenate([getattr(user, counts) for user in self.users]) if counts else None
        count = np.bincount(inverse, weights=weights).astype(np.float64)
        latest = np.zeros(len(known), dtype=np.int64)
        np.maximum.at(latest, inverse, np.concatenate([getattr(user, times) for user in self.users]))
        return _Tally(known, count, latest)

    @cached_property
    def history(self) -> "_Tally":
        """Of the watches."""
        return self.tally("history", "", "history_at")

    def lookup(self, tally: "_Tally", wanted: NDArray[np.int32]) -> tuple[Doubles, Longs]:
        """What `tally` says of each candidate's user and `wanted` `[candidates, ...]`."""
        return tally.of(self.user_of.reshape(-1, *[1] * (wanted.ndim - 1)), wanted)


@dataclass(frozen=True)
class _Tally:
    """Sum of counts and latest time of each key that a user has; all `[keys of all users]`."""

    known: Longs  # the user's number, and below it the key; rising
    count: Doubles
    latest: Longs

    def of(self, user: Longs, wanted: NDArray[np.int32]) -> tuple[Doubles, Longs]:
        """Count and latest time of each of `wanted` with the user, of a shape that broadcasts to it; 0 for none.

        Index 0 is "unknown" and equals nothing.
        """
        if not len(self.known):
            return np.zeros(wanted.shape), np.zeros(wanted.shape, dtype=np.int64)
        asked = user << 32 | wanted
        at = np.minimum(np.searchsorted(self.known, asked), len(self.known) - 1)
        found = (self.known[at] == asked) & (wanted > 0)
        return np.where(found, self.count[at], 0.0), np.where(found, self.latest[at], 0)


def _earlier(asked: _Asked) -> dict[str, Doubles]:
    """What happened between the user and this very video."""
    row, now_ms = asked.videos.row, asked.now_ms
    watched, watched_at = asked.lookup(asked.history, row)
    shown, shown_at = asked.lookup(asked.tally("shown", "shown_counts", "shown_at"), row)
    served, served_at = asked.lookup(asked.tally("served", "served_counts", "served_at"), row)
    return {
        "watches_of_video": watched,
        "days_since_video_watch": _days_since(watched_at, now_ms),
        "impressions_of_video": shown,
        "days_since_impression": _days_since(shown_at, now_ms),
        "servings_of_video": served,
        "days_since_serving": _days_since(served_at, now_ms),
    }


def _tastes(asked: _Asked) -> dict[str, Doubles]:
    """What the user watched of the candidate's channel and topics."""
    channel, channel_at = asked.lookup(asked.tally("channels", "channel_watches", "channel_at"), asked.videos.channel)
    topics, topics_at = asked.lookup(asked.tally("topics", "topic_watches", "topic_at"), asked.videos.topics)
    return {
        "watches_of_channel": channel,
        "days_since_channel": _days_since(channel_at, asked.now_ms),
        "watches_of_topics": topics.sum(axis=1),
        "days_since_topic": _days_since(topics_at.max(axis=1), asked.now_ms),
    }


def _video(asked: _Asked) -> dict[str, Doubles]:
    """What the video is and how it fared with all users."""
    videos, average = asked.videos, asked.videos.averages
    seconds = videos.seconds.astype(np.float64)
    impressions = videos.impressions.astype(np.float64)
    clicks = videos.clicks.astype(np.float64)
    completions = videos.completions.astype(np.float64)
    watches = videos.watches.astype(np.float64)
    watch_seconds = videos.watch_seconds.astype(np.float64)
    mean_seconds = _leaning(watch_seconds, watches, average.watch_fraction * seconds)
    return {
        "days_since_upload": np.maximum(asked.now_ms - videos.uploaded_at, 0) / DAY_MS,
        "video_seconds": seconds,
        "video_impressions": impressions,
        "video_clicks": clicks,
        "video_completions": completions,
        "video_watches": watches,
        "video_click_rate": _leaning(clicks, impressions, average.click_rate),
        "video_completion_rate": _leaning(completions, impressions, average.completion_rate),
        "video_mean_seconds": mean_seconds,
        "video_mean_fraction": mean_seconds / np.maximum(seconds, 1.0),
    }


def _user(asked: _Asked) -> dict[str, Doubles]:
    """What holds for all candidates of a user alike."""
    average = asked.videos.averages
    watches, impressions = asked.each(lambda user: user.watches), asked.each(lambda user: user.impressions)
    completions = asked.each(lambda user: user.completions)
    age, now_ms = asked.each(lambda user: user.age), asked.now_ms
    last_watch = asked.each(lambda user: user.history_at[-1] if len(user.history_at) else 0, np.int64)
    last_query = asked.each(lambda user: user.last_query_at, np.int64)
    return {
        "user_watches": watches,
        "user_mean_seconds": asked.mean("history_seconds", average.watch_seconds),
        "user_mean_fraction": asked.mean("history_fractions", average.watch_fraction),
        "user_impressions": impressions,
        "user_watches_per_impression": _leaning(watches, impressions, average.click_rate),
        "user_completions": completions,
        "user_completion_rate": _leaning(completions, impressions, average.completion_rate),
        "days_since_last_watch": _days_since(last_watch, now_ms),
        "days_since_last_query": _days_since(last_query, now_ms),
        "age_years": np.maximum(age, 0.0),
        "age_missing": (age < 0).astype(np.float64),
    }


def _shown(asked: _Asked) -> dict[str, Doubles]:
    """What became of the videos that the user was shown last, whichever they were."""
    rows, times = [user.shown[-HISTORY:] for user in asked.users], [user.shown_at[-HISTORY:] for user in asked.users]
    owner, row = _owner(rows), np.concatenate(rows)
    watched, watched_at = asked.history.of(owner, row)
    since = (watched > 0) & (watched_at >= np.concatenate(times))  # both are 0 where a data set has no times
    watches, shown = (np.bincount(owner[which], minlength=len(rows)) for which in (since, row > 0))
    last_hour = [np.count_nonzero(user.shown_at > user.now_ms - HOUR_MS) for user in asked.users]
    return {
        "user_watched_of_shown": _leaning(watches, shown, asked.videos.averages.click_rate)[asked.user_of],
        "user_shown_last_hour": np.array(last_hour, np.float64)[asked.user_of],
    }


def _leaning(total: NDArray[Any], count: NDArray[Any], average: Doubles | float) -> Doubles:
    """Mean of `count` values that sum to `total`, with `PRIOR` more that are the average."""
    return np.asarray((total + PRIOR * average) / (count + PRIOR), dtype=np.float64)


def _owner(lists: Sequence[NDArray[Any]]) -> Longs:
    """For each entry of `lists`, end to end, the number of its list."""
    return np.repeat(np.arange(len(lists), dtype=np.int64), [len(values) for values in lists])


def _days_since(at_ms: Longs, now_ms: Longs) -> Doubles:
    """Days from `at_ms` to now, at least 0; NEVER_DAYS where `at_ms` is 0 (never)."""
    return np.where(at_ms > 0, np.clip((now_ms - at_ms) / DAY_MS, 0.0, NEVER_DAYS), NEVER_DAYS)
