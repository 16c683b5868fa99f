"""The files of KuaiRand-Pure: the official layout, and the slice with cut histories. Columns are the same.

Quirks that are met here: rows that differ in nothing but `date` and `hourmin` are duplicates (`time_ms` is trusted), a
play time beyond the length of the video is a loop (capped), a length may be missing (the median stands in), and tags
are lists such as "12,65". `video_features_statistic` is never read: it is averaged over the whole month.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple, Self

import numpy as np
import pandas as pd

from watchnext.data.tables import Dropped, Kind, drop_rows, read_table
from watchnext.errors import DataError

_SHOWN: Final = "watch_seq"
_LONG_VIEWS: Final = "long_watch_seq"
OFFICIAL_LOGS: Final = ("log_standard_4_08_to_4_21_pure.csv", "log_standard_4_22_to_5_08_pure.csv")
_OFFICIAL_TABLES: Final = ("user_features_pure.csv", "video_features_basic_pure.csv")
_SLICE: Final = ("impressions.csv.gz", "users.csv.gz", "videos.csv", "history_before_0425.csv.gz")
LATEST_MS: Final = 4_102_444_800_000  # 2100, as in the events
_BEIJING_MS: Final = 8 * 3_600_000  # upload_dt is a day of Beijing
_LOG_COLUMNS: Final[dict[str, Kind]] = {
    "user_id": "text",
    "video_id": "text",
    "time_ms": "number",
    "is_click": "number",
    "long_view": "number",
    "play_time_ms": "number",
    "tab": "text",
}


@dataclass(frozen=True, slots=True)
class KuaiRandFiles:
    """Where the files are."""

    folder: Path
    logs: tuple[Path, ...]
    users: Path
    videos: Path
    history: Path | None

    @classmethod
    def find(cls, folder: Path) -> Self:
        """The files in `folder`, or in its `data/`.

        Raises:
            DataError: neither layout is there.
        """
        for place in (folder, folder / "data"):
            logs = tuple(place / name for name in OFFICIAL_LOGS)
            if any(log.is_file() for log in logs):  # one alone is half the data: reading names the one that is missing
                return cls(place, logs, place / _OFFICIAL_TABLES[0], place / _OFFICIAL_TABLES[1], None)
            if (place / _SLICE[0]).is_file():
                return cls(place, (place / _SLICE[0],), place / _SLICE[1], place / _SLICE[2], place / _SLICE[3])
        raise DataError(
            f"{folder}: no KuaiRand-Pure here; wanted {OFFICIAL_LOGS[0]} (official) or {_SLICE[0]} (slice), "
            "there or in data/: name the folder with --path"
        )


def read_videos(path: Path, now_ms: int, dropped: Dropped) -> pd.DataFrame:
    """Videos that were uploaded until `now_ms`: video_id, author_id, tags (list), uploaded_ms (1970 on), seconds."""
    raw = read_table(
        path,
        {
            "video_id": "text",
            "author_id": "text",
            "upload_dt": "text",
            "video_duration": "optional",
            "tag": "optional",
        },
        dropped,
    )
    raw = drop_rows(raw, raw["video_id"].duplicated(), path, "the video came before", dropped)
    uploaded = pd.to_datetime(raw["upload_dt"], format="%Y-%m-%d", errors="coerce")
    raw = drop_rows(raw, uploaded.isna(), path, "upload_dt is not a day", dropped)
    uploaded = uploaded.dropna().reset_index(drop=True)
    future = uploaded > pd.Timestamp(now_ms + _BEIJING_MS, unit="ms")
    raw = drop_rows(raw, future, path, "upload_dt is in the future", dropped)
    uploaded = uploaded[~future].reset_index(drop=True)
    seconds = pd.to_numeric(raw["video_duration"], errors="coerce") / 1000
    seconds = seconds.where(seconds.between(0, 604_800, inclusive="right"))
    if seconds.isna().all():
        raise DataError(f"{path}: no video has a video_duration; wanted milliseconds")
    return pd.DataFrame(
        {
            "video_id": raw["video_id"],
            "author_id": raw["author_id"],
            "tags": [[f"tag-{tag}" for tag in text.split(",") if tag] for text in raw["tag"]],
            "uploaded_ms": (uploaded.to_numpy("datetime64[ms]").astype(np.int64) - _BEIJING_MS).clip(min=0),
            "seconds": seconds.fillna(seconds.median()),
        }
    )


def read_users(path: Path, dropped: Dropped) -> pd.DataFrame:
    """Users: user_id. The other columns are anonymous or counts that no contract carries."""
    users = read_table(path, {"user_id": "text"}, dropped)
    return drop_rows(users, users["user_id"].duplicated(), path, "the user came before", dropped)


def read_impressions(
    files: KuaiRandFiles, videos: pd.DataFrame, users: pd.DataFrame, now_ms: int, dropped: Dropped
) -> pd.DataFrame:
    """Impressions by time: user_id, video_id, time_ms, is_click, long_view, surface, seconds, ended_ms."""
    logs = [_read_log(path, videos, users, now_ms, dropped) for path in files.logs]
    shown = pd.concat(logs, ignore_index=True)
    # Copies differ by their date, which decides the file: one may be the last row of a log, the other in the next.
    shown = drop_rows(shown, shown.duplicated(), files.logs[-1], "the same row came before", dropped)
    shown["seconds"] = shown["video_id"].map(videos.set_index("video_id")["seconds"])
    played = shown["play_time_ms"].clip(upper=(shown["seconds"] * 1000).round())
    shown["ended_ms"] = shown["time_ms"] + played.astype(np.int64)
    return shown.drop(columns="play_time_ms").sort_values("time_ms", kind="stable", ignore_index=True)


class History(NamedTuple):
    """The slice's untimed history: user_id, video_id, nth, from_end (0 is the last), last_time_ms."""

    shown: pd.DataFrame
    long_views: pd.DataFrame


_NO_ENTRIES: Final = pd.DataFrame(
    {"user_id": [], "video_id": [], "nth": [], "from_end": [], "last_time_ms": []}
).astype({"user_id": "str", "video_id": "str", "nth": np.int64, "from_end": np.int64, "last_time_ms": np.int64})
NO_HISTORY: Final = History(_NO_ENTRIES, _NO_ENTRIES)


def read_history(path: Path, videos: pd.DataFrame, now_ms: int, dropped: Dropped) -> History:
    """A user's last exposures, and their last long views, which may be older; a bad row is counted once."""
    kinds: dict[str, Kind] = {"user_id": "text", "last_time_ms": "number", _SHOWN: "optional", _LONG_VIEWS: "optional"}
    raw = read_table(path, kinds, dropped)
    raw = drop_rows(
        raw, ~raw["last_time_ms"].between(1, now_ms), path, "last_time_ms is not between 1970 and now", dropped
    )
    raw = drop_rows(raw, raw["user_id"].duplicated(), path, "the user came before", dropped)
    raw["last_time_ms"] = raw["last_time_ms"].astype(np.int64)
    shown, long_views = (_entries(raw, sequence, path, videos, dropped) for sequence in (_SHOWN, _LONG_VIEWS))
    return History(shown, long_views)


def _entries(raw: pd.DataFrame, sequence: str, path: Path, videos: pd.DataFrame, dropped: Dropped) -> pd.DataFrame:
    lists = raw.assign(video_id=raw[sequence].str.split())
    seen = lists[lists["video_id"].str.len() > 0].explode("video_id", ignore_index=True)
    if seen.empty:
        return _NO_ENTRIES
    seen = drop_rows(seen, ~seen["video_id"].isin(videos["video_id"]), path, "video is not in the table", dropped)
    of_user = seen.groupby("user_id")
    seen["nth"] = of_user.cumcount()
    seen["from_end"] = of_user.cumcount(ascending=False)
    return seen[["user_id", "video_id", "nth", "from_end", "last_time_ms"]]


def _read_log(path: Path, videos: pd.DataFrame, users: pd.DataFrame, now_ms: int, dropped: Dropped) -> pd.DataFrame:
    rows = read_table(path, _LOG_COLUMNS, dropped)
    rows = drop_rows(rows, rows.duplicated(), path, "the same row came before", dropped)
    timed = rows["time_ms"].between(1, now_ms)
    rows = drop_rows(rows, ~timed, path, "time_ms is not between 1970 and now", dropped)
    played = rows["play_time_ms"] >= 0
    rows = drop_rows(rows, ~played, path, "play_time_ms is negative", dropped)
    known = rows["video_id"].isin(videos["video_id"])
    rows = drop_rows(rows, ~known, path, "video is not in the table", dropped)
    known = rows["user_id"].isin(users["user_id"])
    rows = drop_rows(rows, ~known, path, "user is not in the table", dropped)
    rows["surface"] = "tab-" + rows["tab"]
    kinds = {"time_ms": np.int64, "is_click": bool, "long_view": bool}
    return rows.drop(columns="tab").astype(kinds)
