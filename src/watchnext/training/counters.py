"""Video counters as of any time: the archived deltas of a video, counted in the order of their times.

Not a point-in-time join of the counters' log. A row there bears the latest time that it counts, and one video's deltas
come through all partitions: in a replay one partition is hours ahead of another, and the row as of a time misses what
the slower one had yet to bring, up to a fifth of it. Serving reads counters as of now and misses nothing
(docs/adr/0021). A delta that was sent twice counts once, by its origin.

They are those of the stream's fold (`stream.counters`), to the last bit, without folding: a bucket's count as of a time
is a difference of two running sums.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from watchnext.clock import HOUR_MS
from watchnext.contracts.names import Topic
from watchnext.features.spec import BUCKETS
from watchnext.features.videos import COUNTED, COUNTERS, decayed
from watchnext.settings import Settings
from watchnext.stream.archive import read_archive

_ORIGIN: Final = ["video_id", "topic", "partition", "offset"]
_AT_ONCE: Final = 65_536  # pairs of a video and a time; bounds the buckets in memory

Longs = NDArray[np.int64]


@dataclass(frozen=True)
class Counted:
    """Counters of some pairs of a video and a time, all with equally many buckets."""

    at: Longs  # [pairs] which ones
    hours: Longs  # [pairs, buckets] old to new
    counts: Longs  # [pairs, len(COUNTED), buckets]
    older: Longs  # [pairs, len(COUNTED)] what fell out of the buckets, or has no hour


class Deltas:
    """Each delta once, by video and time, with running sums."""

    def __init__(self, deltas: pd.DataFrame) -> None:
        """Of columns video_id, available_at, hour (null, or that of available_at) and `COUNTED`."""
        self._videos = pd.Index(deltas["video_id"].unique())
        self._times = np.unique(deltas["available_at"].to_numpy(np.int64))
        place = self._video(deltas["video_id"]) | np.searchsorted(self._times, deltas["available_at"])
        order = np.argsort(place, kind="stable")
        deltas, place = deltas.iloc[order], place[order]
        timed = deltas["hour"].notna().to_numpy()
        self._timed, self._untimed = (_Sums.of(deltas[part], place[part]) for part in (timed, ~timed))
        hours = deltas.loc[timed, "available_at"].to_numpy(np.int64) // HOUR_MS
        video = self._timed.place >> 32
        begins = np.flatnonzero((np.diff(hours, prepend=-1) != 0) | (np.diff(video, prepend=-1) != 0))
        self._hours = hours[begins]  # of each bucket: an hour of a video in which anything was counted
        self._begins = np.append(begins, len(hours))  # where each bucket's deltas begin
        self._bucket = np.append(np.repeat(np.arange(len(begins)), np.diff(self._begins)), 0)  # of each delta

    @classmethod
    def read(cls, settings: Settings, until: int) -> Self:
        """Those of the archive that were available at `until`, epoch ms."""
        columns = [*_ORIGIN, "available_at", "hour", *COUNTED]
        archived: pd.DataFrame = (
            read_archive(settings.archive_path, Topic.VIDEO_DELTAS, until).select(columns).to_pandas()
        )
        return cls(archived.drop_duplicates(_ORIGIN))

    def at(self, video_ids: Sequence[str], at_ms: int) -> NDArray[np.float32]:
        """The decayed `COUNTERS` of each video at one time, `[videos, len(COUNTERS)]`."""
        ids = pd.Series(video_ids, dtype=object)
        return self.as_of(ids, pd.Series(at_ms, index=ids.index))

    def as_of(self, video_ids: pd.Series, at_ms: pd.Series) -> NDArray[np.float32]:
        """The decayed `COUNTERS` of each video at each time, `[rows, len(COUNTERS)]`.

        Equal pairs are computed once: callers floor the times to the refresh interval.
        """
        asked = pd.MultiIndex.from_arrays([video_ids.to_numpy(), at_ms.to_numpy()])
        pairs = asked.unique()
        videos, times = pairs.get_level_values(0), pairs.get_level_values(1).to_numpy()
        totals = np.zeros((len(pairs), len(COUNTERS)), np.float32)
        for start in range(0, len(pairs), _AT_ONCE):
            part = slice(start, start + _AT_ONCE)
            for some in self._counted(videos[part], times[part]):
                at = start + some.at
                totals[at] = decayed(some.counts, some.older, some.hours, times[at])
        return totals[pairs.get_indexer(asked)]

    def _video(self, video_ids: pd.Series | pd.Index | Sequence[str]) -> Longs:
        """A number a video, above which there is room for its times; negative for one without deltas."""
        number: Longs = self._videos.get_indexer(pd.Index(video_ids)).astype(np.int64)
        return number << 32

    def _counted(self, video_ids: pd.Index | Sequence[str], at_ms: Longs) -> Iterator[Counted]:
        """The counters of each video at the time beside it, in any order."""
        video = self._video(video_ids)
        end = video | np.searchsorted(self._times, at_ms, side="right")
        older = self._untimed.between(video, end)
        first, last = np.searchsorted(self._timed.place, video), np.searchsorted(self._timed.place, end)
        newest = self._bucket[last - 1]
        oldest = np.maximum(self._bucket[first], newest - BUCKETS + 1)
        number = np.where(last > first, newest - oldest + 1, 0)
        sums, begins = self._timed.sums, self._begins
        older += np.where(number[:, None] > 0, sums[begins[oldest]] - sums[first], 0)
        for count in np.unique(number):
            at = np.flatnonzero(number == count)
            buckets = oldest[at, None] + np.arange(count)
            ends = begins[buckets + 1]
            ends[:, -1:] = last[at, None]  # the newest hour counts up to the time
            counts = (sums[ends] - sums[begins[buckets]]).transpose(0, 2, 1)
            yield Counted(at, self._hours[buckets], np.ascontiguousarray(counts), older[at])


@dataclass(frozen=True)
class _Sums:
    """Deltas in the order of their places, and what all before each of them add up to."""

    place: Longs  # [deltas] rises with video and time
    sums: Longs  # [deltas + 1, len(COUNTED)]

    @classmethod
    def of(cls, deltas: pd.DataFrame, place: Longs) -> Self:
        """Of deltas in the order of their places."""
        counts = deltas[list(COUNTED)].to_numpy(np.int64)
        return cls(place, np.concatenate([np.zeros((1, len(COUNTED)), np.int64), counts.cumsum(axis=0)]))

    def between(self, first: Longs, end: Longs) -> Longs:
        """What those from `first` to before `end` add up to."""
        at_end, at_first = np.searchsorted(self.place, end), np.searchsorted(self.place, first)
        difference: Longs = self.sums[at_end] - self.sums[at_first]
        return difference
