"""Sizes and names that features, feature rows and models share. A change makes another generation (`spec_hash`)."""

import hashlib
import json
from typing import Final

HOUR_MS: Final = 3_600_000
DAY_MS: Final = 24 * HOUR_MS

VERSION: Final = 6  # raise when a formula in this room changes and no name or size does

HISTORY: Final = 50  # watches and search tokens kept (the paper's bags)
EXPOSURES: Final = 100  # videos with impression or serving counts kept
AGGREGATES: Final = 100  # channels and topics kept, by last watch
SEEN: Final = 1_000  # video ids kept for the seen filter
EVENT_IDS: Final = 256  # event ids kept against replays
BUCKETS: Final = 24  # non-empty hourly counter buckets kept; older ones fall into the totals
VIDEO_TOPICS: Final = 8  # topics of a video that the models read
COUNTER_HALF_LIFE_HOURS: Final = 72.0  # decay of the hourly counters, on read

SOURCES: Final = ("tower", "similar", "channels", "trending", "fresh", "popular")  # bit i of the source mask
NEVER_DAYS: Final = 3_650.0  # "days since" of what never happened: the far end, so that longer ago is always more

RANKER_FEATURES: Final = (
    # where the candidate came from
    "retrieval_score",
    *(f"from_{source}" for source in SOURCES),
    # the user and this video
    "watches_of_video",  # among the last HISTORY
    "days_since_video_watch",
    "impressions_of_video",
    "days_since_impression",
    "servings_of_video",
    "days_since_serving",
    # the user and this channel and these topics
    "watches_of_channel",
    "days_since_channel",
    "watches_of_topics",  # summed over the video's topics
    "days_since_topic",  # the least over the video's topics
    # the video
    "days_since_upload",
    "video_seconds",
    "video_impressions",
    "video_clicks",
    "video_completions",  # completed clicks
    "video_watches",
    "video_click_rate",
    "video_completion_rate",  # of impressions
    "video_mean_seconds",  # of a watch
    "video_mean_fraction",  # of a watch, of the video's length
    # the user
    "user_watches",
    "user_mean_seconds",  # of the last HISTORY watches
    "user_mean_fraction",
    "user_impressions",
    "user_watches_per_impression",
    "user_completions",  # completed clicks
    "user_completion_rate",  # of impressions
    "user_watched_of_shown",  # of the last HISTORY videos shown: the share watched since
    "user_shown_last_hour",  # videos, of the last EXPOSURES
    "days_since_last_watch",
    "days_since_last_query",
    "age_years",
    "age_missing",
)
"""Continuous inputs of the ranker, in order; `cross.cross_features` is the only place that computes them."""

TOWER_FEATURES: Final = ("logged_in", "age", "age_squared", "age_missing", "example_age_days")
"""Continuous inputs of the user tower, in order (`batches.tower_batch`)."""


def spec_hash() -> str:
    """Hash of sizes, feature names and the row columns that are read: equal hashes mean equal features."""
    from watchnext.features.state import UserState  # the rows' columns; `state` itself reads this module's sizes

    facts = {
        "version": VERSION,
        "sizes": [HISTORY, EXPOSURES, AGGREGATES, SEEN, BUCKETS, VIDEO_TOPICS],
        "constants": [COUNTER_HALF_LIFE_HOURS, NEVER_DAYS],
        "ranker": RANKER_FEATURES,
        "tower": TOWER_FEATURES,
        "user_row": UserState.names(),
    }
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:16]
