"""A generation of twelve videos whose every order can be read off the table, and the parts of a request."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import torch

from watchnext.clock import DAY_MS
from watchnext.features.videos import VideoTable
from watchnext.features.vocabulary import Vocabularies, Vocabulary
from watchnext.generation.bundle import Bundle
from watchnext.generation.item_item import ItemItem
from watchnext.index.exact import exact_top_k
from watchnext.recommend.prepared import PreparedGeneration
from watchnext.recommend.sources import SourceTables

NOW = 20_000 * DAY_MS

# video, channel, watches, age in days, restricted in, vector
VIDEOS = [
    ("v1", "cats", 90, 400, [], (1.0, 0.0)),
    ("v2", "cats", 80, 300, [], (0.9, 0.1)),
    ("v3", "cats", 10, 13, [], (0.8, 0.2)),
    ("v4", "dogs", 70, 200, [], (0.1, 0.9)),
    ("v5", "dogs", 60, 3, [], (0.0, 1.0)),
    ("v6", "dogs", 5, 2, ["de"], (0.2, 0.8)),
    ("v7", "news", 50, 1, [], (0.5, 0.5)),
    ("v8", "news", 40, 15, [], (0.4, 0.4)),
    ("v9", "news", 30, 500, ["de", "fr"], (0.7, 0.7)),
    ("v10", "food", 20, 600, [], (0.3, 0.3)),
    ("v11", "food", 0, -1, [], (0.6, 0.1)),  # its upload time is tomorrow
    ("v12", "food", 0, 700, [], (0.0, 0.0)),
]
ROW = {video[0]: row for row, video in enumerate(VIDEOS, start=1)}


class LastWatchTower(torch.nn.Module):
    """The user is the last watched video; without one, (1, 1)."""

    def __init__(self, vectors: np.ndarray) -> None:
        super().__init__()
        self.vectors = torch.from_numpy(vectors)

    def user(self, batch: dict[str, torch.Tensor]) -> torch.Tensor:
        history = batch["history"][0]
        watched = history[history > 0]
        return self.vectors[watched[0].long()][None] if len(watched) else torch.ones(1, 2)


def bundle() -> Bundle:
    count = len(VIDEOS) + 1
    names = ["", *(video[0] for video in VIDEOS)]
    channels = Vocabulary(["cats", "dogs", "news", "food"])
    countries = Vocabulary(["de", "fr", "us"])
    none = Vocabulary([])
    restricted = np.zeros((count, countries.size), bool)
    for row, video in enumerate(VIDEOS, start=1):
        restricted[row, countries.indices(video[4])] = True
    watches = np.array([0, *(video[2] for video in VIDEOS)], np.float32)
    zeros = np.zeros(count, np.float32)
    table = VideoTable(
        row=np.arange(count, dtype=np.int32),
        embedding=np.arange(count, dtype=np.int32),
        ranking_embedding=np.arange(count, dtype=np.int32),
        channel=channels.indices(["", *(video[1] for video in VIDEOS)]),
        topics=np.zeros((count, 8), np.int32),
        language=np.zeros(count, np.int32),
        uploaded_at=np.array([0, *(NOW - video[3] * DAY_MS for video in VIDEOS)], np.int64),
        seconds=np.full(count, 60, np.float32),
        impressions=zeros,
        clicks=zeros,
        completions=zeros,
        watches=watches,
        watch_seconds=zeros,
        video_ids=names,
        titles=[name.upper() for name in names],
        restricted=np.packbits(restricted, axis=1, bitorder="little"),
        counters_at_ms=NOW,
    )
    vectors = np.array([(0, 0), *(video[5] for video in VIDEOS)], np.float32)
    manifest: Any = SimpleNamespace(generation="0123456789abcdef", overlay=0, collection="videos_0123456789abcdef_0")
    missing: Any = None  # retrieval touches neither the ranker nor its quantiles
    tower: Any = LastWatchTower(vectors)
    return Bundle(
        vocabularies=Vocabularies(
            videos=Vocabulary(names[1:]),
            channels=channels,
            topics=none,
            languages=none,
            countries=countries,
            devices=none,
            genders=none,
            surfaces=none,
            search_tokens=none,
        ),
        videos=table,
        vectors=vectors,
        probes=[],
        popular={
            "": np.array([ROW["v1"], ROW["v2"], ROW["v4"], ROW["v9"]], np.int32),
            "fr": np.array([ROW["v5"], ROW["v9"], ROW["v1"]], np.int32),
        },
        manifest=manifest,
        tower=tower,
        ranker=missing,
        quantiles=missing,
        item_item=item_item({}),
    )


def prepared(neighbours: dict[str, dict[str, float]] | None = None) -> PreparedGeneration:
    """With these neighbours by who met them, the most similar first."""
    one = bundle()
    table = item_item(neighbours or {})
    tables = SourceTables.of(one.videos, vectors=one.vectors, popular=one.popular, item_item=table)
    return PreparedGeneration(one, tables)


def item_item(neighbours: dict[str, dict[str, float]]) -> ItemItem:
    found = [neighbours.get(name, {}) for name in ("", *ROW)]
    return ItemItem(
        np.cumsum([0, *map(len, found)]),
        np.array([ROW[name] for of_video in found for name in of_video], np.int32),
        np.array([value for of_video in found for value in of_video.values()], np.float32),
    )


class ExactIndex:
    """The oracle of `watchnext.index` in Milvus's place: real answers, no server."""

    def __init__(self, vectors: np.ndarray) -> None:
        self.vectors = vectors
        self.collections: list[str] = []

    def search(self, collection: str, vectors: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        self.collections.append(collection)
        return exact_top_k(self.vectors, vectors, k)


class Rows:
    """Feature rows of users in memory."""

    def __init__(self, users: dict[str, dict[str, Any]]) -> None:
        self.users = users

    def read_user(self, user_id: str) -> dict[str, Any]:
        return self.users.get(user_id, {})


def watched(*video_ids: str, **columns: Any) -> dict[str, Any]:
    """The row of a user who watched these videos, old to new."""
    count = len(video_ids)
    return {
        "watch_video_ids": list(video_ids),
        "watch_seconds": [30.0] * count,
        "watch_fractions": [0.5] * count,
        "watch_times": [NOW - (count - at) * 1_000 for at in range(count)],
        "seen_ids": list(video_ids),
        "watches": count,
        **columns,
    }
