"""The video table: all that models and filters read of a video, one array a feature, indexed by the generation's row.

It lies in the memory of retrieval and ranker, so that a candidate costs a gather (`VideoTable.take`) and no read. Row 0
is the unknown video. Overlays append rows and refresh counters (`VideoTable.build` with `Vocabulary.extended`).
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from watchnext.features.averages import UNFITTED, Averages
from watchnext.features.spec import COUNTER_HALF_LIFE_HOURS, HOUR_MS, VIDEO_TOPICS
from watchnext.features.vocabulary import Vocabularies, Vocabulary

Ints = NDArray[np.int32]
Floats = NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class CandidateVideos:
    """Columns of some videos, in the order that was asked for; `[videos]` unless said otherwise."""

    row: Ints
    embedding: Ints  # id in the towers' embedding, 0: none (cold or rare)
    ranking_embedding: Ints  # id in the ranker's embedding
    channel: Ints
    topics: Ints  # [videos, VIDEO_TOPICS], 0: none
    language: Ints
    uploaded_at: NDArray[np.int64]  # epoch ms
    seconds: Floats  # length
    impressions: Floats  # this and the next four: decayed as of `VideoTable.counters_at_ms`
    clicks: Floats
    completions: Floats  # completed clicks
    watches: Floats
    watch_seconds: Floats
    averages: Averages = UNFITTED  # of the generation, not of these videos

    def __len__(self) -> int:
        return len(self.row)

    def take(self, rows: NDArray[Any]) -> "CandidateVideos":
        """Rows `rows` of this table; shape `[rows]`."""
        columns = {name: getattr(self, name).take(rows, axis=0) for name in _COLUMNS}
        return CandidateVideos(**columns, averages=self.averages)


_COLUMNS = tuple(column.name for column in fields(CandidateVideos) if column.name != "averages")
# Of a `VideoDelta`; hourly in a `VideoCounters`.
COUNTED = ("impressions", "clicks", "completions", "watches", "watch_ms")
COUNTERS = (*COUNTED[:-1], "watch_seconds")  # what `decayed` makes of them


@dataclass(frozen=True, kw_only=True)
class VideoTable(CandidateVideos):
    """All videos of a generation and overlay, with what only people and filters read."""

    video_ids: list[str]  # "" at row 0
    titles: list[str]
    restricted: NDArray[np.uint8]  # [videos, bytes]: bit c says that country index c may not see it
    counters_at_ms: int

    @classmethod
    def build(
        cls,
        catalog: Mapping[str, Mapping[str, Any]],
        counted: NDArray[np.float32],
        vocabularies: Vocabularies,
        embedded: Vocabulary,
        ranked: Vocabulary,
        *,
        at_ms: int,
        averages: Averages = UNFITTED,
    ) -> "VideoTable":
        """The table of `vocabularies.videos`.

        Args:
            catalog: columns of `contracts.rows.VideoCatalog` by video id.
            counted: `COUNTERS` of each video as of `at_ms`, `[videos, len(COUNTERS)]`.
            vocabularies: their `videos` give the rows.
            embedded: the videos with a tower embedding, by frequency.
            ranked: the videos with a ranker embedding, by frequency in clicked impressions.
            at_ms: time as of which the counters have decayed.
            averages: of the training part; only the ranker's features read them.

        Raises:
            ValueError: a video of the vocabulary is not in the catalogue, or has no line of `counted`.
        """
        video_ids = vocabularies.videos.tokens
        missing = [video_id for video_id in video_ids if video_id not in catalog]
        if missing:
            raise ValueError(f"{len(missing)} videos of the vocabulary are not in the catalogue, first {missing[0]!r}")
        if counted.shape != (len(video_ids), len(COUNTERS)):
            raise ValueError(f"counters of shape {counted.shape} came for {len(video_ids)} videos")
        rows = [catalog[video_id] for video_id in video_ids]
        topics = np.zeros((len(rows) + 1, VIDEO_TOPICS), dtype=np.int32)
        restricted = np.zeros((len(rows) + 1, vocabularies.countries.size), dtype=bool)
        for at, row in enumerate(rows, start=1):
            known = [index for index in vocabularies.topics.indices(row["topics"]).tolist() if index][:VIDEO_TOPICS]
            topics[at, : len(known)] = known
            restricted[at, vocabularies.countries.indices(row["restricted_countries"])] = True
        return cls(
            row=np.arange(len(rows) + 1, dtype=np.int32),
            embedding=embedded.indices(("", *video_ids)),
            ranking_embedding=ranked.indices(("", *video_ids)),
            channel=vocabularies.channels.indices(("", *(row["channel_id"] for row in rows))),
            topics=topics,
            language=vocabularies.languages.indices(("", *(row["language"] for row in rows))),
            uploaded_at=np.array([0, *(row["uploaded_at"] for row in rows)], dtype=np.int64),
            seconds=np.array([0, *(row["video_seconds"] for row in rows)], dtype=np.float32),
            **dict(zip(COUNTERS, np.pad(counted.T.astype(np.float32), ((0, 0), (1, 0))), strict=True)),
            video_ids=["", *video_ids],
            titles=["", *(row["title"] for row in rows)],
            restricted=np.packbits(restricted, axis=1, bitorder="little"),
            counters_at_ms=at_ms,
            averages=averages,
        )

    def allowed_in(self, country: int) -> NDArray[np.bool_]:
        """Which videos a country may see, `[videos]`.

        Country 0, unknown to the generation, may not see what is restricted in a country unknown to it.
        """
        return np.asarray((self.restricted[:, country // 8] >> (country % 8) & 1) == 0)

    @cached_property
    def unrestricted(self) -> NDArray[np.bool_]:
        """Which videos every country may see, `[videos]`."""
        return np.asarray(~self.restricted.any(axis=1))

    def columns(self) -> dict[str, NDArray[Any]]:
        """Everything as named arrays, texts as UTF-8 bytes with their ends (the bundle's file, the archive)."""
        columns: dict[str, NDArray[Any]] = {name: getattr(self, name) for name in _COLUMNS}
        columns["restricted"] = self.restricted
        columns["counters_at_ms"] = np.array([self.counters_at_ms], dtype=np.int64)
        columns["averages"] = self.averages.to_array()
        for name in ("video_ids", "titles"):
            columns[name], columns[f"{name}_ends"] = _text_columns(getattr(self, name))
        return columns

    @classmethod
    def from_columns(cls, columns: Mapping[str, NDArray[Any]]) -> "VideoTable":
        """What `columns` gave."""
        numbers: dict[str, Any] = {name: columns[name] for name in _COLUMNS}
        return cls(
            **numbers,
            restricted=columns["restricted"],
            counters_at_ms=int(columns["counters_at_ms"][0]),
            averages=Averages.from_array(columns["averages"]),
            video_ids=_texts(columns["video_ids"], columns["video_ids_ends"]),
            titles=_texts(columns["titles"], columns["titles_ends"]),
        )


def decayed(
    counts: NDArray[Any], older: NDArray[Any], hours: NDArray[np.int64], at_ms: NDArray[np.int64] | int
) -> NDArray[np.float64]:
    """The `COUNTERS` of rows as of a time, `[..., len(COUNTERS)]`.

    An hour's count halves every COUNTER_HALF_LIFE_HOURS; hours after `at_ms` count in full. What fell out of a row
    (`older`) has no time of its own and decays as the oldest hour that is left does: an upper bound, which fades with
    the row.

    Args:
        counts: `COUNTED` of each hour, `[..., len(COUNTED), hours]`.
        older: those of what fell out, `[..., len(COUNTED)]`.
        hours: epoch hours, `[..., hours]`.
        at_ms: epoch ms, `[...]`.
    """
    ages = np.maximum(np.expand_dims(np.asarray(at_ms) // HOUR_MS, -1) - hours, 0)
    weights = np.exp2(-ages / COUNTER_HALF_LIFE_HOURS)
    kept = (counts * weights[..., None, :]).sum(axis=-1)
    totals: NDArray[np.float64] = kept + older * weights.min(axis=-1, initial=1.0)[..., None]
    totals[..., COUNTED.index("watch_ms")] /= 1000
    return totals


def _text_columns(texts: list[str]) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    encoded = [text.encode() for text in texts]
    return (
        np.frombuffer(b"".join(encoded), dtype=np.uint8),
        np.cumsum([len(text) for text in encoded], dtype=np.int64),
    )


def _texts(data: NDArray[np.uint8], ends: NDArray[np.int64]) -> list[str]:
    whole = data.tobytes()
    stops = ends.tolist()
    return [whole[start:stop].decode() for start, stop in zip([0, *stops[:-1]], stops, strict=True)]
