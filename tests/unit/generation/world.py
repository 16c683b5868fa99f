"""A small generation with untrained models: enough to be written, verified, searched and refreshed."""

from typing import Any

import numpy as np
import torch

from tests.unit.features.world import counted
from watchnext.contracts.rows import VideoCatalog, VideoCounters
from watchnext.features.averages import Averages
from watchnext.features.quantiles import QuantileNormalizer
from watchnext.features.spec import RANKER_FEATURES
from watchnext.features.state import RequestContext
from watchnext.features.videos import VideoTable
from watchnext.features.vocabulary import Vocabularies, Vocabulary
from watchnext.generation.build import GenerationParts
from watchnext.generation.bundle import ProbeUser
from watchnext.generation.item_item import ItemItem
from watchnext.generation.refresh import Counters
from watchnext.models.config import PROFILES, Sizes
from watchnext.models.ranker import Ranker
from watchnext.models.towers import TwoTower

HOUR_MS = 3_600_000
NOW_MS = 500_000 * HOUR_MS
VIDEOS = 60
EMBEDDED = 40  # the others are cold


def catalog_row(number: int, **changes: Any) -> VideoCatalog:
    fields: dict[str, Any] = {
        "channel_id": f"channel{number % 7}",
        "topics": [f"topic{number % 5}", f"topic{number % 3}"],
        "language": ("de", "en")[number % 2],
        "uploaded_at": NOW_MS - number * HOUR_MS,
        "video_seconds": 60.0 + 10 * number,
        "title": f"Film {number} – größer",
        "restricted_countries": ["fr"] if number % 10 == 0 else [],
    }
    return VideoCatalog(entity_id=f"v{number:03d}", **{**fields, **changes})


def counters_row(number: int, watches: int) -> VideoCounters:
    return VideoCounters(
        entity_id=f"v{number:03d}",
        bucket_hours=[NOW_MS // HOUR_MS],
        bucket_impressions=[10 * watches],
        bucket_clicks=[watches],
        bucket_completions=[watches],
        bucket_watches=[watches],
        bucket_watch_ms=[30_000 * watches],
    )


CATALOG = [catalog_row(number) for number in range(1, VIDEOS + 1)]
COUNTER_ROWS = [counters_row(number, watches=number) for number in range(1, VIDEOS + 1)]


def counters_of(rows: list[VideoCounters]) -> Counters:
    """What is asked of the archive, of rows."""
    return lambda video_ids, at_ms: counted(columns(rows), video_ids, at_ms)


def columns(rows: list[Any]) -> dict[str, dict[str, Any]]:
    return {row.entity_id: {name: getattr(row, name) for name in row.features()} for row in rows}


COUNTERS = counters_of(COUNTER_ROWS)


def item_item() -> ItemItem:
    """Videos 1 and 2 are neighbours, video 2 has video 3 too."""
    starts = np.array([0, 0, 1, 3, *[3] * (VIDEOS - 2)])
    return ItemItem(starts, np.array([2, 1, 3], np.int32), np.array([0.5, 0.5, 0.25], np.float32), scale=0.125)


def parts(*, seed: int = 1, snapshot: str = "snapshot-1", probes: int = 20) -> GenerationParts:
    """The same parts for the same seed."""
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    vocabularies = Vocabularies(
        videos=Vocabulary(row.entity_id for row in CATALOG),
        channels=Vocabulary(f"channel{number}" for number in range(7)),
        topics=Vocabulary(f"topic{number}" for number in range(5)),
        languages=Vocabulary(["en", "de"]),
        countries=Vocabulary(["de", "fr"]),
        devices=Vocabulary(["tv", "phone"]),
        genders=Vocabulary(["f", "m"]),
        surfaces=Vocabulary(["home"]),
        search_tokens=Vocabulary(["cats", "dogs"]),
    )
    embedded = Vocabulary(f"v{number:03d}" for number in range(1, EMBEDDED + 1))
    sizes = Sizes(
        videos=embedded.size,
        ranking_videos=embedded.size,
        channels=8,
        topics=6,
        languages=3,
        countries=3,
        devices=3,
        genders=3,
        surfaces=2,
        search_tokens=3,
    )
    users = []
    for _ in range(probes):
        watched = [f"v{number:03d}" for number in rng.choice(np.arange(1, VIDEOS + 1), 5, replace=False)]
        row = {
            "watch_video_ids": watched,
            "watch_seconds": [30.0] * 5,
            "watch_fractions": [0.5] * 5,
            "watch_times": [NOW_MS - HOUR_MS * age for age in (5, 4, 3, 2, 1)],
            "age": float(rng.integers(18, 80)),
            "country": "de",
        }
        users.append(ProbeUser(row, RequestContext(now_ms=NOW_MS, surface="home")))
    return GenerationParts(
        tower=TwoTower(PROFILES["tiny"].tower_config(sizes, NOW_MS)),
        ranker=Ranker(PROFILES["tiny"].ranker_config(sizes, len(RANKER_FEATURES))),
        quantiles=QuantileNormalizer.fit(rng.random((50, len(RANKER_FEATURES))), bins=8),
        item_item=item_item(),
        vocabularies=vocabularies,
        videos=VideoTable.build(
            columns(CATALOG),
            COUNTERS(vocabularies.videos.tokens, NOW_MS),
            vocabularies,
            embedded,
            embedded,
            at_ms=NOW_MS,
            averages=Averages(click_rate=0.3, completion_rate=0.2, watch_fraction=0.6, watch_seconds=30.0),
        ),
        probes=users,
        metrics={"recall@100": 0.25},
        snapshot=snapshot,
        card="# Model card\n",
        country_watches={"fr": np.where(np.arange(VIDEOS + 1) < 4, np.arange(VIDEOS + 1), 0).astype(np.float32)},
    )
