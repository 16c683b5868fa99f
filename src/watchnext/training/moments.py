"""Moments encoded in parallel: rows as of each, the encoded user, and the cross features of the impressions there.

Parts of the moments go to a process a core; each part is one point-in-time join, which reads the log once. The results
do not depend on how the moments were cut, and come a part at a time: those of all moments never lie in memory together.
"""

import dataclasses
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from typing import Any, Final

import joblib
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from watchnext.features.batches import UserColumns
from watchnext.features.cross import cross_features_of_many
from watchnext.features.state import EncodedUser
from watchnext.features.videos import COUNTERS, VideoTable
from watchnext.features.vocabulary import Vocabularies
from watchnext.settings import Settings
from watchnext.training.states import encoded_users, seen_videos

PART: Final = 65_536  # moments; bounds the rows that a process holds, each with lists of hundreds
PROCESSES: Final = 8  # at most, unless told: each holds a part and the log that it reads


@dataclass(frozen=True)
class Impressions:
    """What was shown; columns `[impressions]`."""

    moment: NDArray[np.int64]
    row: NDArray[np.int32]
    score: NDArray[np.float32]
    sources: NDArray[np.int32]
    counters: NDArray[np.float32]  # [impressions, len(COUNTERS)], as serving would have had them

    def within(self, first: int, end: int) -> "Impressions":
        """Those of the moments `first` to `end`, counted from `first`; `moment` must rise."""
        at = slice(*np.searchsorted(self.moment, [first, end]))
        inside = Impressions(*(getattr(self, field.name)[at] for field in dataclasses.fields(self)))
        return dataclasses.replace(inside, moment=inside.moment - first)

    def features(self, users: Sequence[EncodedUser], videos: VideoTable) -> NDArray[np.float32]:
        """Cross features `[impressions, features]`, `moment` being an index into `users`."""
        counters: dict[str, Any] = dict(zip(COUNTERS, self.counters.T, strict=True))
        candidates = dataclasses.replace(videos.take(self.row), **counters)
        return cross_features_of_many(users, self.moment, candidates, self.score, self.sources)


@dataclass(frozen=True)
class Part:
    """Some moments with what hangs on them; impressions' moments count within the part."""

    first: int  # its first moment
    moments: pd.DataFrame
    impressions: Impressions
    asked: NDArray[np.bool_]  # [moments]: whether the seen videos are wanted


@dataclass(frozen=True)
class Encoded:
    """What became of a part."""

    first: int  # its first moment
    users: UserColumns  # [moments]
    features: NDArray[np.float32]  # [impressions, features]
    seen: dict[int, NDArray[np.int32]]  # by moment, counted within the part: rows that its user had watched


@dataclass(frozen=True)
class Encoder:
    """What every part needs."""

    settings: Settings
    vocabularies: Vocabularies
    videos: VideoTable

    def encode(self, part: Part) -> Encoded:
        """Join and encode one part."""
        users = encoded_users(self.settings, part.moments, self.vocabularies)
        seen = seen_videos(self.settings, part.moments[part.asked], self.vocabularies.videos)
        return Encoded(
            first=part.first,
            users=UserColumns.of(users),
            features=part.impressions.features(users, self.videos),
            seen=dict(zip(np.flatnonzero(part.asked).tolist(), seen, strict=True)),
        )


def encode_moments(
    encoder: Encoder, moments: pd.DataFrame, impressions: Impressions, asked: NDArray[np.bool_]
) -> Iterator[Encoded]:
    """All moments in order, on `training.threads` processes; `impressions` are sorted by moment.

    With 0 threads: a process for each core that the container may use, at most `PROCESSES`.
    """
    starts = range(0, len(moments), PART)
    parts = (_part(first, moments, impressions, asked) for first in starts)
    cores = min(joblib.cpu_count(), PROCESSES)  # of the container, not of the node
    processes = min(encoder.settings.training.threads or cores, len(starts))
    if processes == 1:
        yield from map(encoder.encode, parts)
        return
    with ProcessPoolExecutor(processes, get_context("spawn"), _start, (encoder,)) as pool:
        pending: deque[Future[Encoded]] = deque()
        for part in parts:
            pending.append(pool.submit(_encode, part))
            if len(pending) > processes:  # one part waits, so that no process does
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()


def _part(first: int, moments: pd.DataFrame, impressions: Impressions, asked: NDArray[np.bool_]) -> Part:
    """The part of at most `PART` moments that begins with `first`."""
    end = first + PART
    return Part(first, moments.iloc[first:end], impressions.within(first, end), asked[first:end])


_encoder: Encoder


def _start(encoder: Encoder) -> None:
    """In a worker process: what its parts need, once."""
    global _encoder
    _encoder = encoder


def _encode(part: Part) -> Encoded:
    return _encoder.encode(part)
