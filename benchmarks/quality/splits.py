"""Writes the splits: KuaiRand by one time for all, MovieLens-1M by each user's last watch.

What comes after a cut is in `targets` of `queries.parquet` and nowhere else. A validation split is the same with an
earlier cut; it chooses epochs, widths and the like, and knows nothing of the days that the test is about.
"""

from collections import defaultdict
from collections.abc import Hashable
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
import pyarrow as pa

from benchmarks.quality.split_files import HISTORY, SCHEMAS, Split, write_split
from watchnext.data.kuairand import SEED_SPACING_MS
from watchnext.data.kuairand_files import (
    LATEST_MS,
    KuaiRandFiles,
    read_history,
    read_impressions,
    read_users,
    read_videos,
)
from watchnext.data.movielens import clip_seconds
from watchnext.data.movielens_files import ML_1M, read_films, read_people, read_ratings
from watchnext.data.tables import Dropped
from watchnext.errors import DataError

KUAIRAND: Final = "kuairand"
MOVIELENS: Final = "movielens-1m"
TEST_CUT_MS: Final = 1_651_075_200_000  # 28 April 2022 00:00 in Beijing
VALID_CUT_MS: Final = 1_650_988_800_000  # 27 April

_KUAIRAND_RULE: Final = (
    "Exposures before the cut: impressions by time_ms, and the untimed history: its long views older than the first "
    "exposure it lists, then those exposures, 20 s apart, the last at last_time_ms (derived). Interactions: the "
    "exposures that were long views. Queries: users with a long view from the cut on of a video that was never exposed "
    "to them before it; targets are all such videos, seen are all exposed before the cut."
)

_WATCHES_TO_BE_ASKED: Final = 3  # one to know, one to validate, one to test
_MOVIELENS_RULE: Final = (
    "Each rating is a watch, in a stable order by (time, row of the file). The target is each user's last watch (the "
    "one before it for validation, where the last is not read); seen are all earlier ones. Who has fewer than "
    f"{_WATCHES_TO_BE_ASKED} is not asked, and all their watches train."
)


def kuairand_split(folder: Path, out: Path, cut_ms: int = TEST_CUT_MS, end_ms: int | None = None) -> Split:
    """The split of the slice in `folder` at `cut_ms`, written to `out`; what comes at or after `end_ms` is not read.

    Raises:
        DataError: the files cannot be read.
    """
    dropped: Dropped = Dropped()
    files = KuaiRandFiles.find(folder)
    videos = read_videos(files.videos, LATEST_MS, dropped)
    users = read_users(files.users, dropped)
    last_ms = LATEST_MS if end_ms is None else end_ms - 1
    shown = read_impressions(files, videos, users, last_ms, dropped).rename(columns={"time_ms": "at_ms"})
    before = [shown[shown["at_ms"] < cut_ms].assign(derived=False)]
    if files.history is not None:
        history = _history_exposures(files.history, videos, cut_ms, dropped)
        before.insert(0, history[history["user_id"].isin(users["user_id"])])
    exposed = _coded(pd.concat(before, ignore_index=True), users, videos)
    exposed = exposed.sort_values("at_ms", kind="stable", ignore_index=True)
    later = _coded(shown[(shown["at_ms"] >= cut_ms) & shown["long_view"]], users, videos)
    watched = exposed[exposed["long_view"]]
    columns = videos.rename(columns={"author_id": "channel_id", "tags": "topics"})
    tables = {
        "videos": _table("videos", columns.assign(row=np.arange(1, len(videos) + 1))),
        "users": _table("users", users.assign(user=np.arange(len(users)))),
        "interactions": _table("interactions", watched),
        "exposures": _table("exposures", exposed),
        "queries": questions(watched, exposed, later),
    }
    return write_split(Split(out.name, KUAIRAND, _KUAIRAND_RULE, cut_ms, end_ms, tables), out)


def movielens_split(folder: Path, out: Path, held_back: int = 0) -> Split:
    """The split of MovieLens-1M in `folder` by each user's last watch, written to `out`; a rating is a watch.

    Args:
        folder: with the ml-1m files.
        out: the folder to write.
        held_back: last watches of each user that are not read; 1 makes the validation split.

    Raises:
        DataError: the files cannot be read.
    """
    dropped: Dropped = Dropped()
    films = read_films(folder, dropped, ML_1M)
    people = read_people(folder, dropped, ML_1M)
    ratings = read_ratings(folder, films, people, LATEST_MS, dropped, ML_1M).rename(columns={"rated_ms": "at_ms"})
    ratings = _coded(ratings.sort_values("at_ms", kind="stable", ignore_index=True), people, films)
    of_user = ratings.groupby("user")["video"]
    later = of_user.cumcount(ascending=False) - held_back  # of this user's watches, among those that are read
    asked = of_user.transform("size") >= _WATCHES_TO_BE_ASKED
    watched = ratings[(later > 0) | ((later == 0) & ~asked)].assign(derived=False)
    seconds = films["video_id"].map(clip_seconds)
    columns = films.assign(seconds=seconds, uploaded_ms=films["released_ms"].astype("int64"), topics=films["genres"])
    tables = {
        "videos": _table("videos", columns.assign(row=np.arange(1, len(films) + 1))),
        "users": _table("users", people.assign(user=np.arange(len(people)))),
        "interactions": _table("interactions", watched),
        "queries": questions(watched, watched, ratings[(later == 0) & asked]),
    }
    return write_split(Split(out.name, MOVIELENS, _MOVIELENS_RULE, None, None, tables), out)


def questions(watched: pd.DataFrame, exposed: pd.DataFrame, later: pd.DataFrame) -> pa.Table:
    """One query a user with something new to find, by user.

    Args:
        watched: user and video of the positives before the cut, in order.
        exposed: user and video of all that was shown before it.
        later: user and video of the positives after it, in order.

    Raises:
        DataError: nobody has anything new to find.
    """
    pairs = exposed[["user", "video"]].drop_duplicates()
    found = later[["user", "video"]].drop_duplicates().merge(pairs, how="left", indicator="known")
    new = found[found["known"] == "left_only"]
    if new.empty:
        raise DataError(
            f"{len(later):,} positives come after the cut and all were known before it; wanted some that were not: "
            "name another cut or a longer stretch after it"
        )
    users = np.unique(new["user"]).tolist()
    histories, seen, targets = (_lists_by(frame["user"], frame["video"]) for frame in (watched, pairs, new))
    asked = {
        "user": users,
        "history": [histories[user][-HISTORY:] for user in users],
        "seen": [sorted(seen[user]) for user in users],
        "targets": [targets[user] for user in users],
    }
    return pa.table(asked, schema=SCHEMAS["queries"])


def _history_exposures(path: Path, videos: pd.DataFrame, cut_ms: int, dropped: Dropped) -> pd.DataFrame:
    """The untimed histories that end before the cut, as exposures: user_id, video_id, at_ms, long_view, derived.

    The file lists the last 50 exposures and the last 50 long views. The long views of listed exposures are found from
    the end; what is left over is older than the list.
    """
    listed, long_views = read_history(path, videos, LATEST_MS, dropped)
    exposures = _lists_by(listed["user_id"], listed["video_id"])
    viewed = _lists_by(long_views["user_id"], long_views["video_id"])
    users = pd.concat([listed, long_views]).drop_duplicates("user_id")
    rows = []
    for user_id, end_ms in zip(users["user_id"], users["last_time_ms"], strict=True):
        if end_ms >= cut_ms:
            continue
        merged = merge_history(exposures[user_id], viewed[user_id])
        for from_end, (video_id, long_view) in zip(range(len(merged))[::-1], merged, strict=True):
            rows.append((user_id, video_id, end_ms - from_end * SEED_SPACING_MS, long_view, True))
    return pd.DataFrame(rows, columns=["user_id", "video_id", "at_ms", "long_view", "derived"])


def merge_history(exposures: list[str], long_views: list[str]) -> list[tuple[str, bool]]:
    """One sequence, old to new, of (video, was it a long view).

    >>> merge_history(["a", "b", "a"], ["z", "b"])
    [('z', True), ('a', False), ('b', True), ('a', False)]
    """
    left = list(long_views)
    merged = []
    for video in reversed(exposures):
        long_view = bool(left) and left[-1] == video
        if long_view:
            left.pop()
        merged.append((video, long_view))
    return [(video, True) for video in left] + merged[::-1]


def _coded(frame: pd.DataFrame, users: pd.DataFrame, videos: pd.DataFrame) -> pd.DataFrame:
    """`frame` with user (0 to n - 1) and video (1 to N), the places in the two tables."""
    user = pd.Series(np.arange(len(users)), index=users["user_id"])
    video = pd.Series(np.arange(1, len(videos) + 1), index=videos["video_id"])
    return frame.assign(user=frame["user_id"].map(user), video=frame["video_id"].map(video))


def _lists_by(keys: pd.Series, values: pd.Series) -> defaultdict[Hashable, list[Any]]:
    """The values of each key, in order. Pandas makes a series of each group, which takes ten times as long."""
    lists: defaultdict[Hashable, list[Any]] = defaultdict(list)
    for key, value in zip(keys.tolist(), values.tolist(), strict=True):
        lists[key].append(value)
    return lists


def _table(name: str, frame: pd.DataFrame) -> pa.Table:
    schema = SCHEMAS[name]
    return pa.Table.from_pandas(frame[schema.names], schema=schema, preserve_index=False).replace_schema_metadata()
