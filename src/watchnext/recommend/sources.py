"""The candidate sources beside the tower, from the generation in memory: they answer whatever else is down.

Similar to what the user watched and was shown (item-item, `generation/item_item.py`; by cosine of video vectors where
nobody met it yet), channels the user watches most, trending (decayed watch counts), fresh uploads, and popular per
country. Orders are computed once a generation (`SourceTables.of`); a request only walks them past the videos that it
may not show.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from watchnext.clock import DAY_MS
from watchnext.contracts.names import Source
from watchnext.features.videos import VideoTable
from watchnext.generation.item_item import ItemItem
from watchnext.recommend.merge import Affinity

OTHERS: Final = 50  # candidates of each source beside the tower
FRESH_DAYS: Final = 14
TOP_CHANNELS: Final = 5
NEIGHBOURS: Final = 500  # kept of a last-watched video; what the user has seen of them is passed over
CACHED_ANCHORS: Final = 4_096
HEAD: Final = 2_000  # looked at before a whole order is: the filters seldom take more away

Rows = NDArray[np.int32]
Mask = NDArray[np.bool_]

NO_ROWS: Final = np.zeros(0, np.int32)


@dataclass(slots=True)
class SourceTables:
    """What one generation knows of its video rows, and their orders; row 0, the unknown video, is in none."""

    videos: VideoTable
    vectors: NDArray[np.float32]  # [V, D]
    tastes: NDArray[np.float32]  # [V, D'], what of the vectors makes videos alike
    lengths: NDArray[np.float32]  # [V], of the tastes, at least a tiny number
    item_item: ItemItem
    popularity: NDArray[np.float32]  # [V], log of decayed watches
    trending: Rows  # by decayed watches
    by_upload: Rows  # from old to new
    uploaded_at: NDArray[np.int64]  # in the order of by_upload
    by_channel: Rows  # by channel, in it by decayed watches
    channel_starts: NDArray[np.int64]  # [channels + 1] into by_channel
    popular: dict[str, Rows]  # by country; "" for all
    _neighbours: dict[int, Rows] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        videos: VideoTable,
        *,
        vectors: NDArray[np.float32],
        popular: Mapping[str, Rows],
        item_item: ItemItem,
        dim: int | None = None,
    ) -> "SourceTables":
        """The orders of a generation; ties go to the lower row.

        `dim`: of a vector the first so many tell which videos are alike; all of them, where nothing is said.
        """
        rows = np.arange(1, len(videos.video_ids), dtype=np.int32)
        watches = np.asarray(videos.watches)[rows]
        by_upload = rows[np.argsort(videos.uploaded_at[rows], kind="stable")]
        by_channel = rows[np.lexsort((-watches, videos.channel[rows]))]
        channels = videos.channel[by_channel]
        tastes = vectors[:, :dim]
        return cls(
            videos=videos,
            vectors=vectors,
            tastes=tastes,
            lengths=np.maximum(np.linalg.norm(tastes, axis=1), np.float32(1e-12)),
            item_item=item_item,
            popularity=np.log1p(videos.watches),
            trending=rows[np.argsort(-watches, kind="stable")],
            by_upload=by_upload,
            uploaded_at=videos.uploaded_at[by_upload],
            by_channel=by_channel,
            channel_starts=np.searchsorted(channels, np.arange(int(channels.max(initial=0)) + 2)),
            popular={country: np.asarray(found, np.int32) for country, found in popular.items()},
        )

    def others(self, met: NDArray[np.float32], channels: list[int], now_ms: int, allowed: Mask) -> dict[Source, Rows]:
        """At most `OTHERS` of each source beside the tower; `met` is `met_with` of what is to be alike."""
        return {
            Source.SIMILAR: self.similar(met, allowed, OTHERS),
            Source.CHANNELS: self.channels(channels, allowed, OTHERS),
            Source.TRENDING: self.trend(allowed, OTHERS),
            Source.FRESH: self.fresh(now_ms, allowed, OTHERS),
        }

    def affinity(self, user: NDArray[np.float32], met: Rows) -> Affinity:
        """What scores the candidates of a user with the vector `user`, who met the rows `met`."""
        return Affinity(user, self.vectors, self.met_with(met), self.popularity)

    def met_with(self, bag: Rows) -> NDArray[np.float32]:
        """The mean similarity of each video to those of `bag`, in the table's scale: `[V]`; row 0 does not count."""
        known = bag[bag > 0]
        sums = self.item_item.sums(known, videos=len(self.popularity))
        return sums / np.float32(max(1, len(known)) * self.item_item.scale)

    def similar(self, met: NDArray[np.float32], allowed: Mask, count: int) -> Rows:
        """The videos with the most of `met`, as far as they have any."""
        near = np.flatnonzero((met > 0) & allowed).astype(np.int32)
        return near[np.lexsort((near, -met[near]))[:count]]

    def neighbours(self, anchor: int) -> Rows:
        """The `NEIGHBOURS` videos nearest to row `anchor` by cosine, nearest first; remembered."""
        neighbours = self._neighbours.get(anchor)
        if neighbours is None:
            cosine = self.tastes @ self.tastes[anchor] / self.lengths
            cosine[[0, anchor]] = -np.inf
            nearest = np.argpartition(-cosine, min(NEIGHBOURS, len(cosine) - 1))[:NEIGHBOURS]
            nearest = nearest[np.isfinite(cosine[nearest])]
            neighbours = nearest[np.lexsort((nearest, -cosine[nearest]))].astype(np.int32)
            if len(self._neighbours) >= CACHED_ANCHORS:
                self._neighbours.clear()
            self._neighbours[anchor] = neighbours
        return neighbours

    def channels(self, channels: list[int], allowed: Mask, count: int) -> Rows:
        """The most watched videos of each of `channels` in turn: the best of each, then the second of each."""
        lists = [first(self._of_channel(channel), allowed, count) for channel in channels[:TOP_CHANNELS]]
        longest = max((len(rows) for rows in lists), default=0)
        taken = [int(rows[place]) for place in range(longest) for rows in lists if place < len(rows)]
        return np.array(taken[:count], np.int32)

    def fresh(self, now_ms: int, allowed: Mask, count: int) -> Rows:
        """Uploads of the last `FRESH_DAYS`, newest first; none that is uploaded after `now_ms`."""
        start, stop = np.searchsorted(self.uploaded_at, [now_ms - FRESH_DAYS * DAY_MS, now_ms], side="right")
        return first(self.by_upload[start:stop][::-1], allowed, count)

    def trend(self, allowed: Mask, count: int) -> Rows:
        """The videos with the most decayed watches."""
        return first(self.trending, allowed, count)

    def popular_in(self, country: str, allowed: Mask, count: int) -> Rows:
        """The most watched videos of a country; where they are too few, of all countries, then whatever trends."""
        found = first(self.popular.get(country, NO_ROWS), allowed, count)
        for more in (self.popular.get("", NO_ROWS), self.trending):
            if len(found) < count:
                found = topped_up(found, more, allowed, count)
        return found

    def nearest(self, rows: Rows, watched: Rows) -> list[str]:
        """The id of the watched video that is nearest by cosine to each of `rows`; "" where none was watched."""
        if not len(watched):
            return [""] * len(rows)
        cosine = (self.tastes[rows] @ self.tastes[watched].T) / self.lengths[watched]
        return [self.videos.video_ids[int(row)] for row in watched[np.argmax(cosine, axis=1)]]

    def _of_channel(self, channel: int) -> Rows:
        if not 0 < channel < len(self.channel_starts) - 1:
            return NO_ROWS
        return self.by_channel[self.channel_starts[channel] : self.channel_starts[channel + 1]]


def first(rows: Rows, allowed: Mask, count: int) -> Rows:
    """The first `count` of `rows` that are allowed."""
    head = rows[: count + HEAD]
    found = head[allowed[head]]
    if len(found) < count and len(head) < len(rows):
        found = rows[allowed[rows]]
    return found[:count]


def distinct(rows: Rows) -> Rows:
    """`rows` without repetitions, in the order in which they come."""
    _, places = np.unique(rows, return_index=True)
    return np.asarray(rows[np.sort(places)])


def topped_up(rows: Rows, more: Rows, allowed: Mask, count: int) -> Rows:
    """`rows`, and after them those of `more` that are allowed, as many as are missing to `count`."""
    return distinct(np.concatenate([rows, first(more, allowed, count + len(rows))]))[:count]
