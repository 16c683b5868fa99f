"""Which impressions were clicked, and for how long: the label of the ranker (the paper's section 4).

A watch belongs to the impression with its user, request id and video, whenever it came. A watch without such an
impression belongs to the latest impression of that video to that user at or before its start, at most `window_ms` old.
Each watch belongs to one impression; an impression's seconds are those of all its watches, and 0 where it has none.

An impression is closed when its window ended at or before the watermark, the time up to which all events are known.
Younger ones are left out whether clicked or not: keeping the clicked ones would make the newest hour look better than
it was. Watches with the surface `derived-history` have no real time and label nothing.

>>> shown = pd.DataFrame({"request_id": ["r"], "user_id": ["u"], "video_id": ["v"], "shown_at": [1_000]})
>>> seen = pd.DataFrame({"request_id": [None], "user_id": ["u"], "video_id": ["v"], "started_at": [2_000],
...                      "watch_seconds": [9.0], "completed": [True], "surface": ["home"]})
>>> label_impressions(shown, seen, window_ms=60_000, watermark_ms=61_000).seconds.tolist()
[9.0]
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from watchnext.contracts.names import DERIVED_SURFACE


@dataclass(frozen=True, slots=True)
class Labels:
    """One entry an impression, in the order in which the impressions came."""

    clicked: NDArray[np.bool_]
    seconds: NDArray[np.float64]  # watched because of this impression; 0 where unclicked
    completed: NDArray[np.bool_]
    closed: NDArray[np.bool_]  # false: too young to be an example
    begun_at: NDArray[np.int64]  # epoch ms: shown, or watched before that, which clocks that disagree say


def label_impressions(impressions: pd.DataFrame, watches: pd.DataFrame, window_ms: int, watermark_ms: int) -> Labels:
    """Attribute `watches` to `impressions`; the columns are the fields of the events.

    Args:
        impressions: request_id, user_id, video_id, shown_at.
        watches: request_id (may be null), user_id, video_id, started_at, watch_seconds, completed, surface.
        window_ms: how long after an impression a watch without its request id still counts.
        watermark_ms: epoch ms up to which all events are known.
    """
    watches = watches[watches["surface"] != DERIVED_SURFACE].reset_index(drop=True)
    target = impression_of_watch(impressions, watches, window_ms)
    found = target >= 0
    clicked = np.zeros(len(impressions), dtype=bool)
    seconds = np.zeros(len(impressions))
    completed = np.zeros(len(impressions), dtype=bool)
    begun_at = impressions["shown_at"].to_numpy(np.int64, copy=True)
    clicked[target[found]] = True
    np.add.at(seconds, target[found], watches["watch_seconds"].to_numpy(np.float64)[found])
    np.logical_or.at(completed, target[found], watches["completed"].to_numpy(bool)[found])
    np.minimum.at(begun_at, target[found], watches["started_at"].to_numpy(np.int64)[found])
    return Labels(
        clicked=clicked,
        seconds=seconds,
        completed=completed,
        closed=impressions["shown_at"].to_numpy(np.int64) + window_ms <= watermark_ms,
        begun_at=begun_at,
    )


def impression_of_watch(impressions: pd.DataFrame, watches: pd.DataFrame, window_ms: int) -> NDArray[np.int64]:
    """Row of the impression that each watch belongs to, or -1; columns as of `label_impressions`."""
    target = _by_request(impressions, watches)
    rest = target < 0
    target[rest] = _by_window(impressions, watches[rest], window_ms)
    return target


def _by_request(impressions: pd.DataFrame, watches: pd.DataFrame) -> NDArray[np.int64]:
    """Impression of each watch by user, request and video, or -1.

    Clients choose request ids: two users may have the same one. A list shown twice under one id: the latest showing
    before the watch, or the first where clocks disagree.
    """
    asked = watches["request_id"].notna().to_numpy()
    target = np.full(len(watches), -1, dtype=np.int64)
    keys = ["user_id", "request_id", "video_id"]
    before = _nearest(impressions, watches[asked], keys, "backward", None)
    after = _nearest(impressions, watches[asked], keys, "forward", None)
    target[asked] = np.where(before >= 0, before, after)
    return target


def _by_window(impressions: pd.DataFrame, watches: pd.DataFrame, window_ms: int) -> NDArray[np.int64]:
    """The latest impression of the same user and video within the window, or -1."""
    return _nearest(impressions, watches, ["user_id", "video_id"], "backward", window_ms)


def _nearest(
    impressions: pd.DataFrame,
    watches: pd.DataFrame,
    keys: list[str],
    direction: Literal["backward", "forward"],
    tolerance: int | None,
) -> NDArray[np.int64]:
    """Row of the impression with the same `keys` that is nearest in `direction`, or -1, a watch."""
    shown_code, watch_code = _codes(impressions[keys], watches[keys])
    shown = pd.DataFrame(
        {
            "code": shown_code,
            "at": impressions["shown_at"].to_numpy(np.int64),
            "row": np.arange(len(impressions), dtype=np.float64),
        }
    ).sort_values("at", kind="stable")
    started = pd.DataFrame(
        {
            "code": watch_code,
            "at": watches["started_at"].to_numpy(np.int64),
            "watch": np.arange(len(watches)),
        }
    ).sort_values("at", kind="stable")
    joined = pd.merge_asof(started, shown, on="at", by="code", direction=direction, tolerance=tolerance)
    rows = np.full(len(watches), -1, dtype=np.int64)
    rows[joined["watch"].to_numpy()] = joined["row"].fillna(-1).to_numpy(np.int64)
    return rows


def _codes(left: pd.DataFrame, right: pd.DataFrame) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Integers that are equal exactly where whole lines are."""
    both = pd.concat([left, right], ignore_index=True)
    codes = np.asarray(both.groupby(list(both.columns), sort=False, dropna=False).ngroup(), dtype=np.int64)
    return codes[: len(left)], codes[len(left) :]
