"""The log cut in two at one time: what was before it is learnt from, what came after is asked.

The cut leaves the last tenth of the next watches to the holdout, or falls where `training.split_at_ms` says; everything
that is fitted sees the part before it.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from watchnext.clock import DAY_MS
from watchnext.contracts.names import DERIVED_SURFACE
from watchnext.data.labels import label_impressions
from watchnext.data.splits import split_at_share
from watchnext.errors import DataError
from watchnext.settings import Settings
from watchnext.stream.archive import LOG_PARTITION
from watchnext.training import log
from watchnext.training.labels import HOLDOUT, as_asked, capped, next_watches, queries, ranking_labels
from watchnext.training.snapshot import Snapshot


@dataclass(frozen=True)
class SplitLog:
    """The events of a snapshot and their labels; times are epoch ms."""

    split_ms: int
    catalog: pd.DataFrame  # all videos
    profiles: pd.DataFrame  # of users who had one before the split
    watches: pd.DataFrame  # of both parts
    finished: pd.DataFrame  # completed watches that began before the split
    learnt: pd.DataFrame  # next watches before the split, capped a user
    shown: pd.DataFrame  # labelled impressions of both parts
    untimed: pd.DataFrame  # impressions before the split whose times a data set derived: no labels
    asked: pd.DataFrame  # queries from the split on, with their targets

    @property
    def past_shown(self) -> pd.DataFrame:
        """Labelled impressions before the split."""
        return self.shown[self.shown["now_ms"] < self.split_ms]

    @property
    def watched(self) -> pd.DataFrame:
        """Finished watches of catalogue videos."""
        return self.finished[self.finished["video_id"].isin(set(self.catalog["video_id"]))]

    @property
    def met(self) -> pd.DataFrame:
        """User and video of all that was watched or shown before the split; repeats stay in."""
        begun = self.watches[self.watches["started_at"] < self.split_ms]
        parts = (begun, self.untimed, self.past_shown)
        return pd.concat([part[["user_id", "video_id"]] for part in parts], ignore_index=True)

    @property
    def met_unlabelled(self) -> pd.DataFrame:
        """Those of `met` that no labelled impression shows: of the ranker's own examples they tell nothing."""
        met, labelled = self.met, pd.MultiIndex.from_frame(self.past_shown[["user_id", "video_id"]])
        return met[~pd.MultiIndex.from_frame(met).isin(labelled)]


def split_log(settings: Settings, snapshot: Snapshot, per_user: int) -> SplitLog:
    """Read and label the events of `snapshot`, with at most `per_user` next watches to learn from a user.

    Raises:
        DataError: the snapshot has no usable watches or impressions, none before or after the split, or none to learn
            from that is young enough.
    """
    watches, catalog = log.watches(snapshot), log.catalog(snapshot)
    known = set(catalog["video_id"])
    impressions, window_ms = log.impressions(snapshot), round(settings.training.click_window_minutes * 60_000)
    derived = impressions["surface"] == DERIVED_SURFACE
    impressions, untimed = impressions[~derived].reset_index(drop=True), impressions[derived]
    lists, lines = log.served(snapshot)
    impressions = as_asked(impressions, lists)
    labels = next_watches(watches, impressions, known, window_ms)
    shown = ranking_labels(_closed(snapshot, impressions, watches, known, window_ms), lists, lines)
    if labels.empty or shown.empty:
        raise DataError(
            f"the snapshot has {len(labels)} completed watches of catalogue videos and {len(shown)} impressions whose "
            "click window has closed; training wants both: replay more events and let the stream catch up"
        )
    split_ms = _split_ms(settings, labels["now_ms"].to_numpy())
    past = labels[(labels["now_ms"] < split_ms) & (labels["now_ms"] >= _oldest_ms(settings, split_ms))]
    if past.empty:
        newest = labels["now_ms"][labels["now_ms"] < split_ms].max()
        raise DataError(
            f"training.max_age_days is {settings.training.max_age_days:g}, and the newest next watch to learn from is "
            f"{(split_ms - newest) / DAY_MS:.2g} days older than the split; wanted more days than that, or 0 for all"
        )
    return SplitLog(
        split_ms=split_ms,
        catalog=catalog,
        profiles=log.profiles(snapshot, split_ms),
        watches=watches,
        finished=watches[watches["completed"] & (watches["started_at"] < split_ms)],
        learnt=capped(past, per_user),
        shown=shown,
        untimed=untimed[untimed["shown_at"] < split_ms],
        asked=queries(labels, split_ms),
    )


def _split_ms(settings: Settings, times_ms: NDArray[np.int64]) -> int:
    """The time of the cut; `times_ms` are those of the next watches, rising."""
    split_ms = settings.training.split_at_ms
    if not split_ms:
        return split_at_share(times_ms, HOLDOUT).cut_ms
    if not times_ms[0] < split_ms <= times_ms[-1]:
        raise DataError(
            f"training.split_at_ms is {split_ms}, and the next watches lie between {times_ms[0]} and {times_ms[-1]}; "
            "wanted some before and some after it: name a time between them, or 0 for the last tenth"
        )
    return split_ms


def _closed(
    snapshot: Snapshot, impressions: pd.DataFrame, watches: pd.DataFrame, known: set[str], window_ms: int
) -> pd.DataFrame:
    """Impressions of catalogue videos whose click window has closed, with their labels.

    The watermark knows the partitions that have brought a watch. In another one no window has closed: a user's watches
    come in the partition of the impressions, and there they may all be on their way.
    """
    labels = label_impressions(impressions, watches, window_ms, snapshot.watermark_ms)
    labelled = impressions.assign(
        clicked=labels.clicked, seconds=labels.seconds, completed=labels.completed, begun_at=labels.begun_at
    )
    heard = labelled[LOG_PARTITION].isin(set(watches[LOG_PARTITION])) & labelled["video_id"].isin(known)
    return labelled[labels.closed & heard.to_numpy()].reset_index(drop=True)


def _oldest_ms(settings: Settings, split_ms: int) -> int:
    days = settings.training.max_age_days
    return split_ms - round(days * DAY_MS) if days else 0
