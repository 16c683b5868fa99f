"""Video counters as of any time: the archived deltas of a video, counted in the order of their times.

Not a point-in-time join of the counters' log. A row there bears the latest time that it counts, and one video's deltas
come through all partitions: in a replay one partition is hours ahead of another, and the row as of a time misses what
the slower one had yet to bring, up to a fifth of it. Serving reads counters as of now and misses nothing
(docs/adr/0021). A delta that was sent twice counts once, by its origin.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from operator import attrgetter
from typing import Final

import msgspec
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from watchnext.contracts.events import VideoDelta
from watchnext.contracts.names import Topic
from watchnext.contracts.rows import VideoCounters
from watchnext.features.videos import COUNTERS, decayed_totals
from watchnext.settings import Settings
from watchnext.stream.archive import events_of, read_archive
from watchnext.stream.counters import count

_ORDER: Final = attrgetter("video_id", "available_at", "topic", "partition", "offset")
_ORIGIN: Final = attrgetter("video_id", "topic", "partition", "offset")


def counter_rows(settings: Settings, video_ids: Sequence[str], at_ms: int) -> list[VideoCounters]:
    """The counters at `at_ms` of those of `video_ids` that anybody had been shown or had watched by then."""
    rows = _rows_at(settings, dict.fromkeys(video_ids, (at_ms,)))
    return [row for video_id, _, row in rows if row != VideoCounters(entity_id=video_id)]


def counters_as_of(settings: Settings, video_ids: pd.Series, at_ms: pd.Series) -> NDArray[np.float32]:
    """The decayed `COUNTERS` of each video at each time, `[rows, len(COUNTERS)]`.

    Equal pairs are computed once: callers floor the times to the refresh interval.
    """
    asked = pd.MultiIndex.from_arrays([video_ids.to_numpy(), at_ms.to_numpy()])
    pairs = asked.unique()
    times: dict[str, list[int]] = {}
    for video_id, time_ms in sorted(pairs):
        times.setdefault(video_id, []).append(time_ms)
    totals = np.zeros((len(pairs), len(COUNTERS)), np.float32)
    place = {pair: number for number, pair in enumerate(pairs)}
    for video_id, time_ms, row in _rows_at(settings, times):
        totals[place[video_id, time_ms]] = decayed_totals(msgspec.structs.asdict(row), time_ms)
    return totals[pairs.get_indexer(asked)]


def _rows_at(settings: Settings, times: Mapping[str, Sequence[int]]) -> Iterator[tuple[str, int, VideoCounters]]:
    """Video, time and row, for each time of each video, times rising; videos without any delta are left out.

    A video's row goes on counting for its next time: read it at once.
    """
    until = max((of_video[-1] for of_video in times.values()), default=0)
    for video_id, group in groupby(_deltas(settings, until), attrgetter("video_id")):
        deltas, row = list(group), VideoCounters(entity_id=video_id)
        counted = 0
        for time_ms in times.get(video_id, ()):
            while counted < len(deltas) and deltas[counted].available_at <= time_ms:
                count(row, deltas[counted])
                counted += 1
            yield video_id, time_ms, row


def _deltas(settings: Settings, until: int) -> list[VideoDelta]:
    """Each delta once, by video and time."""
    events = events_of(read_archive(settings.archive_path, Topic.VIDEO_DELTAS, until), Topic.VIDEO_DELTAS)
    once = {_ORIGIN(delta): delta for _, delta in events if isinstance(delta, VideoDelta)}
    return sorted(once.values(), key=_ORDER)
