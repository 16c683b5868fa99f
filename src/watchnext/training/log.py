"""The frozen events as tables: each event once, in a stable order.

The archive holds a message twice where a producer sent it twice, and data sets have tied times; so events are told
apart by (key, event id) and sorted by (time, event id), which every later stage relies on.
"""

from typing import Any, Final

import pandas as pd
import pyarrow as pa

from watchnext.contracts.names import Topic
from watchnext.stream.archive import LOG_AT_MS, LOG_OFFSET, LOG_PARTITION, archive_schema, read_archive
from watchnext.training.snapshot import Snapshot

_REQUEST: Final = ["user_id", "request_id"]
_LIST: Final = [*_REQUEST, "served_at", "surface", "seed_video_id", "device", "country"]
_LINE: Final = ["video_id", "sources", "scores"]


def watches(snapshot: Snapshot) -> pd.DataFrame:
    """Watch events by (started_at, event_id)."""
    return _events(snapshot, Topic.WATCH, "started_at")


def impressions(snapshot: Snapshot) -> pd.DataFrame:
    """Impression events by (shown_at, event_id)."""
    return _events(snapshot, Topic.IMPRESSION, "shown_at")


def searches(snapshot: Snapshot) -> pd.DataFrame:
    """Search events by (searched_at, event_id)."""
    return _events(snapshot, Topic.SEARCH, "searched_at")


def served(snapshot: Snapshot) -> tuple[pd.DataFrame, Any]:
    """Served lists, once a request, and beside them the lines of each, an Arrow column of lists of structs.

    Without what no label reads, and not as dicts: a million lists of 20 videos would be 26 GB of them.
    """
    whole = archive_schema(Topic.SERVED)
    line = whole.field("items").type.value_type
    lines = pa.field("items", pa.list_(pa.struct([line.field(name) for name in _LINE])))
    schema = pa.schema([*(whole.field(name) for name in (*_LIST, LOG_PARTITION, LOG_OFFSET, LOG_AT_MS)), lines])
    table = read_archive(str(snapshot.folder / "archive"), Topic.SERVED, snapshot.end_ms, schema=schema)
    lists: pd.DataFrame = table.select(_LIST).to_pandas()
    first = ~lists.duplicated(_REQUEST)
    return lists[first].reset_index(drop=True), table["items"].filter(pa.array(first))


def served_of(archive: str, until_ms: int | None = None) -> pd.DataFrame:
    """Served lists of an archive, once a request, by time; `items` as arrays of dicts; until `until_ms`."""
    table = _read(archive, Topic.SERVED, until_ms)
    return table.drop_duplicates(_REQUEST).sort_values("served_at", kind="stable", ignore_index=True)


def profiles(snapshot: Snapshot, before_ms: int) -> pd.DataFrame:
    """The last profile of each user, of those written before `before_ms`."""
    table = _table(snapshot, Topic.PROFILE)
    return table[table["updated_at"] < before_ms].drop_duplicates("user_id", keep="last", ignore_index=True)


def catalog(snapshot: Snapshot) -> pd.DataFrame:
    """The last catalogue entry of each video."""
    return catalog_of(str(snapshot.folder / "archive"), snapshot.end_ms)


def catalog_of(archive: str, until_ms: int | None = None) -> pd.DataFrame:
    """The last catalogue entry of each video in an archive, of those uploaded until `until_ms`."""
    table = _read(archive, Topic.CATALOG, until_ms)
    return table.drop_duplicates("video_id", keep="last", ignore_index=True)


def _events(snapshot: Snapshot, topic: Topic, time: str) -> pd.DataFrame:
    table = _table(snapshot, topic).drop_duplicates(["user_id", "event_id"])
    return table.sort_values([time, "event_id"], kind="stable", ignore_index=True)


def _table(snapshot: Snapshot, topic: Topic) -> pd.DataFrame:
    return _read(str(snapshot.folder / "archive"), topic, snapshot.end_ms)


def _read(archive: str, topic: Topic, until_ms: int | None) -> pd.DataFrame:
    """In the order of the log: within a key that is the order of sending."""
    table: Any = read_archive(archive, topic, until_ms)
    frame: pd.DataFrame = table.to_pandas()
    return frame.drop(columns=[LOG_OFFSET])
