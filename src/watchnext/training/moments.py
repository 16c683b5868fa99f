"""Moments encoded in parallel: rows as of each, the encoded user, and the cross features of the impressions there.

A moment costs about half a millisecond of Python, so parts of the moments go to a process a core; each part is one
point-in-time join. The results do not depend on how the moments were cut.
"""

import dataclasses
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from watchnext.features.cross import cross_features_of_many
from watchnext.features.spec import RANKER_FEATURES
from watchnext.features.state import EncodedUser
from watchnext.features.videos import VideoTable
from watchnext.features.vocabulary import Vocabularies
from watchnext.settings import Settings
from watchnext.training.encoded import EncodedUsers
from watchnext.training.states import encoded_users, seen_videos

PART: Final = 25_000  # moments; bounds the rows that a process holds


@dataclass(frozen=True)
class Impressions:
    """What was shown; columns `[impressions]`."""

    moment: NDArray[np.int64]
    row: NDArray[np.int32]
    score: NDArray[np.float32]
    sources: NDArray[np.int32]
    counters: NDArray[np.float32]  # [impressions, 4], as serving would have had them

    def take(self, at: NDArray[np.intp]) -> "Impressions":
        """The impressions `at`."""
        return Impressions(*(getattr(self, field.name)[at] for field in dataclasses.fields(self)))

    def features(self, users: Sequence[EncodedUser], videos: VideoTable) -> NDArray[np.float32]:
        """Cross features `[impressions, features]`, `moment` being an index into `users`."""
        impressions, clicks, watches, watch_seconds = self.counters.T
        candidates = dataclasses.replace(
            videos.take(self.row), impressions=impressions, clicks=clicks, watches=watches, watch_seconds=watch_seconds
        )
        return cross_features_of_many(users, self.moment, candidates, self.score, self.sources)


@dataclass(frozen=True)
class Part:
    """Some moments with what hangs on them; `Impressions.moment` counts within the part, and rises."""

    moments: pd.DataFrame
    impressions: Impressions
    asked: NDArray[np.bool_]  # [moments]: whether the seen videos are wanted


@dataclass(frozen=True)
class Encoded:
    """What became of a part, or of all."""

    users: EncodedUsers
    features: NDArray[np.float32]  # [impressions, features]
    seen: list[NDArray[np.int32]]  # rows that each asked moment's user had watched


@dataclass(frozen=True)
class Encoder:
    """What every part needs."""

    settings: Settings
    vocabularies: Vocabularies
    videos: VideoTable

    def encode(self, part: Part) -> Encoded:
        """Join and encode one part."""
        users = list(encoded_users(self.settings, part.moments, self.vocabularies))
        seen = seen_videos(self.settings, part.moments[part.asked], self.vocabularies.videos)
        return Encoded(EncodedUsers.of(users), part.impressions.features(users, self.videos), list(seen))


def encode_moments(
    encoder: Encoder, moments: pd.DataFrame, impressions: Impressions, asked: NDArray[np.bool_]
) -> Encoded:
    """All moments, on `training.threads` processes (0: one a core); features are in the order of `impressions`."""
    order = np.argsort(impressions.moment, kind="stable")
    parts = list(_parts(moments, impressions.take(order), asked))
    processes = min(encoder.settings.training.threads or os.cpu_count() or 1, len(parts))
    if processes == 1:
        done = [encoder.encode(part) for part in parts]
    else:
        with ProcessPoolExecutor(processes, get_context("spawn"), _start, (encoder,)) as pool:
            done = list(pool.map(_encode, parts))
    features = np.empty((len(order), len(RANKER_FEATURES)), np.float32)
    features[order] = np.concatenate([part.features for part in done])
    return Encoded(
        EncodedUsers.concatenated([part.users for part in done]),
        features,
        [rows for part in done for rows in part.seen],
    )


def _parts(moments: pd.DataFrame, impressions: Impressions, asked: NDArray[np.bool_]) -> Iterator[Part]:
    """Parts of at most `PART` moments; `impressions` are sorted by moment."""
    for start in range(0, len(moments), PART):
        end = min(start + PART, len(moments))
        first, last = np.searchsorted(impressions.moment, [start, end])
        inside = impressions.take(np.arange(first, last))
        inside = dataclasses.replace(inside, moment=inside.moment - start)
        yield Part(moments.iloc[start:end], inside, asked[start:end])


_encoder: Encoder


def _start(encoder: Encoder) -> None:
    """In a worker process: what its parts need, once."""
    global _encoder
    _encoder = encoder


def _encode(part: Part) -> Encoded:
    return _encoder.encode(part)
