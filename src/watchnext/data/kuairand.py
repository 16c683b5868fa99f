"""KuaiRand-Pure: real impressions, clicks, play times, authors, tags and surfaces of the Kuaishou app.

Reads the official files (`data/log_standard_*_pure.csv` and its two tables) and the six-day slice with cut histories
(its `SOURCE.md` tells the quirks). Every row of the log is an impression; a clicked one is also a watch, stamped alike.
What was played without a click is no watch. The untimed history of the slice becomes impressions and watches with the
surface `derived-history`: history and counts, but no time and no label.

>>> KuaiRand(Path("KuaiRand-Pure"), clock=SystemClock(), users=1_000).describe().counts       # doctest: +SKIP
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pandas as pd

from watchnext.clock import Clock
from watchnext.contracts.events import CatalogEvent, ImpressionEvent, ProfileEvent, WatchEvent
from watchnext.contracts.names import DERIVED_SURFACE, Topic
from watchnext.data.kuairand_files import (
    NO_HISTORY,
    KuaiRandFiles,
    read_history,
    read_impressions,
    read_users,
    read_videos,
)
from watchnext.data.records import Description, Record, in_time_order, keep_users, sample_of
from watchnext.data.tables import Dropped, rows_of

NAME: Final = "kuairand"
COUNTRY: Final = "CN"
# Seeds end so far apart, the last at last_time_ms: a user's come together, and fold fast.
SEED_SPACING_MS: Final = 20_000
LONG_VIEW_SECONDS: Final = 18.0  # KuaiRand's long_view: played to the end, or 18 s of a longer video

DERIVED: Final = {
    "watches without a click": "none: what was played without is_click is left out, and its label is 0 seconds",
    "watch_seconds": "play_time_ms, capped at the length of the video (loops)",
    "completed": "long_view of the log",
    "video_seconds": "the median of all lengths where the table has none",
    "position": "0; the rows of one user and moment are one list, counted in the order of the file",
    "country": COUNTRY,
    "history": f"the slice's exposures and long views before its first day, untimed there: seed impressions and seed "
    f"watches, 20 s apart, the last ending at last_time_ms, surface {DERIVED_SURFACE}; a watch is of 18 s or the "
    "whole video, completed, and out of the list of the seed impressions where they have its video; in the history and "
    "in counts, never in a label or a time feature",
}


class KuaiRand:
    """KuaiRand-Pure as events; `users` keeps the first users by hash (0: all)."""

    name = NAME
    derived = DERIVED

    def __init__(self, folder: Path, *, clock: Clock, users: int = 0) -> None:
        self._files = KuaiRandFiles.find(folder)
        self.dropped: Dropped = Dropped()
        now_ms = clock.now_ms()
        self._videos = read_videos(self._files.videos, now_ms, self.dropped)
        people = read_users(self._files.users, self.dropped)
        shown = read_impressions(self._files, self._videos, people, now_ms, self.dropped)
        self.last_ms = int(shown["ended_ms"].max())
        self.sample = sample_of(users, shown["user_id"].nunique())
        kept = keep_users(shown["user_id"], users)
        shown = shown[shown["user_id"].isin(kept)]
        self._shown = shown.assign(position=shown.groupby(["user_id", "time_ms"]).cumcount())
        self._people = people[people["user_id"].isin(kept)]
        recorded = self._files.history
        history = NO_HISTORY if recorded is None else read_history(recorded, self._videos, now_ms, self.dropped)
        self._seeds = self._untimed(history.long_views, kept)
        self._seed_shown = self._untimed(history.shown, kept)

    def catalog(self) -> Iterator[CatalogEvent]:
        """All videos; the data has no titles and no languages."""
        for video in rows_of(self._videos):
            yield CatalogEvent(
                video_id=video.video_id,
                channel_id=video.author_id,
                topics=video.tags,
                uploaded_at=video.uploaded_ms,
                video_seconds=video.seconds,
            )

    def profiles(self) -> Iterator[ProfileEvent]:
        """All kept users; the data has no age and no gender."""
        for user in rows_of(self._people):
            yield ProfileEvent(user_id=user.user_id, country=COUNTRY)

    def events(self) -> Iterator[Record]:
        """Impressions and watches, those of the untimed history too, by the time at which they become available."""
        return in_time_order(self._seeded_impressions(), self._impressions(), self._watched(), self._seeded())

    def describe(self) -> Description:
        """Counts and the rules."""
        first_shown = int(self._shown["time_ms"].min())
        return Description(
            name=NAME,
            source=f"KuaiRand-Pure (Gao et al., CIKM 2022; CC BY-SA 4.0) in {self._files.folder}",
            counts={
                "users": len(self._people),
                "videos": len(self._videos),
                "impressions": len(self._shown),
                "watches": int(self._shown["is_click"].sum()),
                "seed impressions": len(self._seed_shown),
                "seed watches": len(self._seeds),
            },
            first_ms=int(min([first_shown, *self._seeds["started_ms"], *self._seed_shown["started_ms"]])),
            last_ms=int(self._shown["ended_ms"].max()),
            derived=DERIVED,
            dropped=dict(self.dropped),
        )

    def _impressions(self) -> Iterator[Record]:
        for row in rows_of(self._shown):
            request = f"kr-{row.user_id}-{row.time_ms}"
            yield (
                Topic.IMPRESSION,
                ImpressionEvent(
                    event_id=f"{request}-i{row.position}",
                    request_id=request,
                    user_id=row.user_id,
                    video_id=row.video_id,
                    position=row.position,
                    shown_at=row.time_ms,
                    surface=row.surface,
                ),
            )

    def _watched(self) -> Iterator[Record]:
        clicked = self._shown[self._shown["is_click"]].sort_values("ended_ms", kind="stable")
        for row in rows_of(clicked):
            request = f"kr-{row.user_id}-{row.time_ms}"
            yield (
                Topic.WATCH,
                WatchEvent(
                    event_id=f"{request}-w{row.position}",
                    user_id=row.user_id,
                    video_id=row.video_id,
                    started_at=row.time_ms,
                    watch_seconds=(row.ended_ms - row.time_ms) / 1000,
                    video_seconds=row.seconds,
                    completed=row.long_view,
                    country=COUNTRY,
                    surface=row.surface,
                    request_id=request,
                ),
            )

    def _seeded_impressions(self) -> Iterator[Record]:
        for row in rows_of(self._seed_shown):
            yield (
                Topic.IMPRESSION,
                ImpressionEvent(
                    event_id=f"{_untimed_list(row.user_id)}-i{row.nth}",
                    request_id=_untimed_list(row.user_id),
                    user_id=row.user_id,
                    video_id=row.video_id,
                    position=row.nth,
                    shown_at=row.ended_ms,
                    surface=DERIVED_SURFACE,
                ),
            )

    def _seeded(self) -> Iterator[Record]:
        shown = set(zip(self._seed_shown["user_id"], self._seed_shown["video_id"], strict=True))
        for row in rows_of(self._seeds):
            yield (
                Topic.WATCH,
                WatchEvent(
                    event_id=f"kr-{row.user_id}-h{row.nth:04}",  # watches of unknown time are ordered by id
                    user_id=row.user_id,
                    video_id=row.video_id,
                    started_at=row.started_ms,
                    watch_seconds=(row.ended_ms - row.started_ms) / 1000,
                    video_seconds=row.seconds,
                    completed=True,
                    country=COUNTRY,
                    surface=DERIVED_SURFACE,
                    request_id=_untimed_list(row.user_id) if (row.user_id, row.video_id) in shown else None,
                ),
            )

    def _untimed(self, entries: pd.DataFrame, kept: set[str]) -> pd.DataFrame:
        """Entries of the untimed history, sorted by their derived end."""
        seeds = entries[entries["user_id"].isin(kept)]
        seconds = seeds["video_id"].map(self._videos.set_index("video_id")["seconds"])
        ended = seeds["last_time_ms"] - seeds["from_end"] * SEED_SPACING_MS
        started = ended - (seconds.clip(upper=LONG_VIEW_SECONDS) * 1000).round().astype("int64")
        return seeds.assign(seconds=seconds, started_ms=started, ended_ms=ended).sort_values("ended_ms", kind="stable")


def _untimed_list(user_id: str) -> str:
    """The request id of a user's untimed history: one list."""
    return f"kr-{user_id}-h"
