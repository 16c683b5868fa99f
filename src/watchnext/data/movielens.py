"""MovieLens 100k: real users, films, ratings and times; watches and impressions are derived from them by fixed rules.

A rating says that somebody saw a film and how they liked it, not for how long. Ratings come in bursts, seconds apart,
so films of full length would overlap and leave every history of a session empty. A film therefore stands for a clip of
it of one to three minutes; a burst begins at its real time, keeps its order, and its watches follow one another.
`DERIVED` is the whole list of rules; each number comes from a hash of ids, so every run makes the same events.

>>> MovieLens(fetch_movielens(settings), clock=SystemClock()).describe().counts["watches"]    # doctest: +SKIP
100000
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd

from watchnext.clock import Clock
from watchnext.contracts.events import CatalogEvent, ImpressionEvent, ProfileEvent, WatchEvent
from watchnext.contracts.names import Topic
from watchnext.data.movielens_files import read_films, read_people, read_ratings
from watchnext.data.records import Description, Record, fraction_of, in_time_order, keep_users, sample_of
from watchnext.data.tables import Dropped, rows_of

NAME: Final = "movielens"
SURFACE: Final = "home"
SHOWN_BEFORE_MS: Final = 1_000  # a list is shown a second before its film starts
PAUSE_MS: Final = 2_000  # between the end of a watch and the next start
COMPLETED_FROM: Final = 4  # stars
FRACTIONS: Final = {1: (0.02, 0.1), 2: (0.1, 0.3), 3: (0.3, 0.7), 4: (0.7, 0.95), 5: (0.9, 1.0)}  # stars to share seen
_DRAWS: Final = 20  # tries for an unclicked film that the user never rates

DERIVED: Final = {
    "video_seconds": "60 to 180 s by hash of the film: a clip of it, so that a burst of ratings does not overlap",
    "watch_seconds": "video_seconds times a share of 2-10, 10-30, 30-70, 70-95, 90-100 % for 1 to 5 stars, by hash",
    "completed": f"{COMPLETED_FROM} stars or more",
    "started_at": "the rating's time, or 2 s after the user's previous watch ended, whichever is later; equal times in "
    "an order by hash",
    "impressions": "each watch was clicked in a list of two, shown 1 s before; the other film is one that the user "
    "never rates, drawn by hash from the ratings before this one (so by popularity up to then); order by hash",
    "channel_id": "the director in the wheel's knowledge graph; the decade where it names none",
    "uploaded_at": "1 January of the release year (1970 at the earliest), or the first rating if that is earlier, "
    "the last of all for a film that nobody rated",
    "country": "CA for a Canadian postal code, else US; the contract has no finer region, so the zip code is not sent",
}


class MovieLens:
    """ML-100k as events; `users` keeps the first users by hash (0: all)."""

    name = NAME
    derived = DERIVED

    def __init__(self, folder: Path, *, clock: Clock, users: int = 0) -> None:
        self._folder = folder
        self.dropped: Dropped = Dropped()
        self._films = read_films(folder, self.dropped)
        people = read_people(folder, self.dropped)
        ratings = read_ratings(folder, self._films, people, clock.now_ms(), self.dropped)
        first_rated = ratings.groupby("video_id")["rated_ms"].min()
        known_ms = self._films["video_id"].map(first_rated).fillna(ratings["rated_ms"].max())
        self._films["uploaded_at"] = np.minimum(self._films["released_ms"], known_ms)
        watches = lay_out(ratings)
        self.last_ms = int(watches["ended_ms"].max())
        watches["other"] = unclicked_films(watches)
        self.sample = sample_of(users, watches["user_id"].nunique())
        # Of a sample each rated something; the whole data set has the profiles of the others too.
        kept = keep_users(watches["user_id"], users) if self.sample else set(people["user_id"])
        self._people = people[people["user_id"].isin(kept)]
        self._watches = watches[watches["user_id"].isin(kept)]

    def catalog(self) -> Iterator[CatalogEvent]:
        """All films."""
        for film in rows_of(self._films):
            yield CatalogEvent(
                video_id=film.video_id,
                channel_id=film.channel_id,
                topics=film.genres,
                language="",
                uploaded_at=int(film.uploaded_at),
                video_seconds=clip_seconds(film.video_id),
                title=film.title,
            )

    def profiles(self) -> Iterator[ProfileEvent]:
        """All kept users."""
        for user in rows_of(self._people):
            yield ProfileEvent(user_id=user.user_id, age=float(user.age), gender=user.gender, country=user.country)

    def events(self) -> Iterator[Record]:
        """Impressions and watches, by the time at which they become available."""
        return in_time_order(self._impressions(), self._watched())

    def describe(self) -> Description:
        """Counts and the rules."""
        unclicked = int((self._watches["other"] != "").sum())
        return Description(
            name=NAME,
            source=f"MovieLens 100k from the wheel recbole==1.2.1 ({self._folder})",
            counts={
                "users": len(self._people),
                "videos": len(self._films),
                "watches": len(self._watches),
                "impressions": len(self._watches) + unclicked,
            },
            first_ms=int(self._watches["started_ms"].min()) - SHOWN_BEFORE_MS,
            last_ms=int(self._watches["ended_ms"].max()),
            derived=DERIVED,
            dropped=dict(self.dropped),
        )

    def _impressions(self) -> Iterator[Record]:
        for watch in rows_of(self._watches.sort_values("started_ms", kind="stable")):
            request = f"ml-{watch.user_id}-{watch.video_id}"
            clicked_at = int(fraction_of("position", request) < 0.5) if watch.other else 0
            shown = [(clicked_at, watch.video_id), (1 - clicked_at, watch.other)]
            for position, video_id in sorted(shown):
                if video_id:
                    yield (
                        Topic.IMPRESSION,
                        ImpressionEvent(
                            event_id=f"{request}-i{position}",
                            request_id=request,
                            user_id=watch.user_id,
                            video_id=video_id,
                            position=position,
                            shown_at=watch.started_ms - SHOWN_BEFORE_MS,
                            surface=SURFACE,
                        ),
                    )

    def _watched(self) -> Iterator[Record]:
        country = dict(zip(self._people["user_id"], self._people["country"], strict=True))
        for watch in rows_of(self._watches.sort_values("ended_ms", kind="stable")):
            request = f"ml-{watch.user_id}-{watch.video_id}"
            yield (
                Topic.WATCH,
                WatchEvent(
                    event_id=f"{request}-w",
                    user_id=watch.user_id,
                    video_id=watch.video_id,
                    started_at=watch.started_ms,
                    watch_seconds=(watch.ended_ms - watch.started_ms) / 1000,
                    video_seconds=clip_seconds(watch.video_id),
                    completed=watch.stars >= COMPLETED_FROM,
                    country=country[watch.user_id],
                    surface=SURFACE,
                    request_id=request,
                ),
            )


def lay_out(ratings: pd.DataFrame) -> pd.DataFrame:
    """Ratings (user_id, video_id, stars, rated_ms) as watches that do not overlap; adds started_ms and ended_ms.

    Rows come back in the order of the ratings, the users' equal times by hash.
    """
    ties = [fraction_of("order", *pair) for pair in zip(ratings["user_id"], ratings["video_id"], strict=True)]
    watches = ratings.assign(tie=ties).sort_values(["rated_ms", "tie"]).drop(columns="tie").reset_index(drop=True)
    free_at: dict[str, int] = {}
    started, ended = [], []
    for row in rows_of(watches):
        start = max(row.rated_ms, free_at.get(row.user_id, 0) + PAUSE_MS)
        low, high = FRACTIONS[row.stars]
        share = low + (high - low) * fraction_of("share", row.user_id, row.video_id)
        end = start + round(1000 * share * clip_seconds(row.video_id))
        free_at[row.user_id] = end
        started.append(start)
        ended.append(end)
    return watches.assign(started_ms=started, ended_ms=ended)


def unclicked_films(watches: pd.DataFrame) -> list[str]:
    """For each watch a film that its user never rates, drawn from the earlier rows; empty where none was found."""
    rated = watches.groupby("user_id")["video_id"].agg(set).to_dict()
    films = watches["video_id"].tolist()
    others = []
    for row, (user_id, video_id) in enumerate(zip(watches["user_id"], films, strict=True)):
        if row == 0:
            others.append("")
            continue
        draws = (films[int(row * fraction_of("unclicked", user_id, video_id, draw))] for draw in range(_DRAWS))
        others.append(next((film for film in draws if film not in rated[user_id]), ""))
    return others


def clip_seconds(video_id: str) -> float:
    """Length of the clip that stands for a film, 60 to 180 whole seconds."""
    return float(60 + int(121 * fraction_of("film length", video_id)))
