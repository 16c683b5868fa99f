"""Video counters as of any time: the archived deltas of a video, counted in the order of their times.

Not a point-in-time join of the counters' log. A row there bears the latest time that it counts, and one video's deltas
come through all partitions: in a replay one partition is hours ahead of another, and the row as of a time misses what
the slower one had yet to bring, up to a fifth of it. Serving reads counters as of now and misses nothing
(docs/adr/0021). A delta that was sent twice counts once, by its origin.
"""

from collections.abc import Iterator, Sequence
from typing import Final

import msgspec
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from watchnext.contracts.names import Topic
from watchnext.contracts.rows import VideoCounters
from watchnext.features.videos import COUNTED, COUNTERS, decayed_totals
from watchnext.settings import Settings
from watchnext.stream.archive import read_archive
from watchnext.stream.counters import count

_ORIGIN: Final = ["video_id", "topic", "partition", "offset"]
_NO_HOUR: Final = -1


def counter_rows(settings: Settings, video_ids: Sequence[str], at_ms: int) -> list[VideoCounters]:
    """The counters at `at_ms` of those of `video_ids` that anybody had been shown or had watched by then."""
    pairs = pd.MultiIndex.from_product([video_ids, [at_ms]]).unique()
    return [row for _, _, row in _rows(settings, pairs) if row != VideoCounters(entity_id=row.entity_id)]


def counters_as_of(settings: Settings, video_ids: pd.Series, at_ms: pd.Series) -> NDArray[np.float32]:
    """The decayed `COUNTERS` of each video at each time, `[rows, len(COUNTERS)]`.

    Equal pairs are computed once: callers floor the times to the refresh interval.
    """
    asked = pd.MultiIndex.from_arrays([video_ids.to_numpy(), at_ms.to_numpy()])
    pairs = asked.unique()
    totals = np.zeros((len(pairs), len(COUNTERS)), np.float32)
    for number, time_ms, row in _rows(settings, pairs):
        totals[number] = decayed_totals(msgspec.structs.asdict(row), time_ms)
    return totals[pairs.get_indexer(asked)]


def _rows(settings: Settings, pairs: pd.MultiIndex) -> Iterator[tuple[int, int, VideoCounters]]:
    """The number of each distinct pair of video and time, the time, and the video's row then; by video and time.

    A video's row goes on counting for its next time: read it at once.
    """
    asked = pairs.to_frame(index=False, name=["video_id", "time_ms"]).rename_axis("number").reset_index()
    asked = asked.sort_values(["video_id", "time_ms"])
    new = _first_counted(_deltas(settings, int(asked["time_ms"].max())), asked) if len(asked) else {}
    row = VideoCounters(entity_id="")
    for number, video_id, time_ms in asked.itertuples(index=False, name=None):
        if row.entity_id != video_id:
            row = VideoCounters(entity_id=video_id)
        for hour, *counts in new.get(number, ()):
            count(row, None if hour == _NO_HOUR else hour, counts)
        yield number, time_ms, row


def _first_counted(deltas: pd.DataFrame, asked: pd.DataFrame) -> dict[int, list[list[int]]]:
    """By number of a pair, what it counts that the video's pair before did not: hours and their `COUNTED`."""
    counted_at = pd.merge_asof(
        deltas.sort_values("available_at"),
        asked.sort_values("time_ms"),
        left_on="available_at",
        right_on="time_ms",
        by="video_id",
        direction="forward",
    ).dropna(subset="number")
    sums = counted_at.groupby(["number", "hour"])[list(COUNTED)].sum().reset_index()
    by_pair: dict[int, list[list[int]]] = {}
    for number, *counts in zip(*(sums[name].astype(np.int64).tolist() for name in sums), strict=True):
        by_pair.setdefault(number, []).append(counts)
    return by_pair


def _deltas(settings: Settings, until: int) -> pd.DataFrame:
    """Each delta once."""
    columns = [*_ORIGIN, "available_at", "hour", *COUNTED]
    found: pd.DataFrame = read_archive(settings.archive_path, Topic.VIDEO_DELTAS, until).select(columns).to_pandas()
    return found.drop_duplicates(_ORIGIN).fillna({"hour": _NO_HOUR})
