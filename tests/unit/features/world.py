"""A world of three videos, two channels and three topics, small enough to compute by hand."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from watchnext.features.averages import Averages
from watchnext.features.videos import COUNTED, VideoTable, decayed
from watchnext.features.vocabulary import Vocabularies, Vocabulary

DAY = 86_400_000
NOW = 20_000 * DAY + 13 * 3_600_000  # 13 o'clock

VOCABULARIES = Vocabularies(
    videos=Vocabulary(["film", "song", "news"]),  # rows 1, 2, 3
    channels=Vocabulary(["studio", "radio"]),
    topics=Vocabulary(["drama", "music", "politics"]),
    languages=Vocabulary(["en", "de"]),
    countries=Vocabulary(["DE", "US"]),
    devices=Vocabulary(["phone", "tv"]),
    genders=Vocabulary(["f", "m"]),
    surfaces=Vocabulary(["home"]),
    search_tokens=Vocabulary(["cats", "funny", "funny cats"]),
)


def catalog_row(**values: Any) -> dict[str, Any]:
    return {
        "channel_id": "studio",
        "topics": [],
        "language": "en",
        "uploaded_at": NOW - 10 * DAY,
        "video_seconds": 100.0,
        "title": "",
        "restricted_countries": [],
        **values,
    }


CATALOG = {
    "film": catalog_row(topics=["drama", "music"], title="A film ✓"),
    "song": catalog_row(channel_id="radio", topics=["music"], language="de", restricted_countries=["DE", "XX"]),
    "news": catalog_row(channel_id="unheard", topics=["sports", "politics"], uploaded_at=NOW - DAY // 2),
}
COUNTERS = {
    "film": {
        "bucket_hours": [NOW // 3_600_000 - 72, NOW // 3_600_000],
        "bucket_impressions": [8, 4],
        "older_impressions": 2,
        "bucket_clicks": [2, 0],
        "older_clicks": 0,
        "bucket_completions": [1, 0],
        "older_completions": 1,
        "bucket_watches": [2, 1],
        "older_watches": 2,
        "bucket_watch_ms": [60_000, 30_000],
        "older_watch_ms": 0,
    }
}


AVERAGES = Averages(click_rate=0.3, completion_rate=0.2, watch_fraction=0.4, watch_seconds=25.0)


def decayed_totals(row: Mapping[str, Any], at_ms: int) -> NDArray[np.float64]:
    """The counters of a `VideoCounters` row as of a time."""
    counts, older = (np.array([row[f"{kind}_{name}"] for name in COUNTED], np.float64) for kind in ("bucket", "older"))
    return decayed(counts, older, np.array(row["bucket_hours"], np.int64), at_ms)


def counted(rows: Mapping[str, Mapping[str, Any]], video_ids: Sequence[str], at_ms: int) -> NDArray[np.float32]:
    """Those of some videos, zeros without a row."""
    totals = np.zeros((len(video_ids), len(COUNTED)), np.float32)
    for at, video_id in enumerate(video_ids):
        if video_id in rows:
            totals[at] = decayed_totals(rows[video_id], at_ms)
    return totals


def video_table() -> VideoTable:
    return VideoTable.build(
        CATALOG,
        counted(COUNTERS, VOCABULARIES.videos.tokens, NOW),
        VOCABULARIES,
        Vocabulary(["song", "film"]),
        Vocabulary(["film"]),
        at_ms=NOW,
        averages=AVERAGES,
    )
