"""Sizes that features, feature rows and models share. A change makes another generation (`spec_hash`)."""

from typing import Final

HISTORY: Final = 50  # watches and search tokens kept (the paper's bags)
EXPOSURES: Final = 100  # videos with impression or serving counts kept
AGGREGATES: Final = 100  # channels and topics kept, by last watch
SEEN: Final = 1_000  # video ids kept for the seen filter
EVENT_IDS: Final = 256  # event ids kept against replays
BUCKETS: Final = 24  # non-empty hourly counter buckets kept; older ones fall into the totals
VIDEO_TOPICS: Final = 8  # topics of a video that the models read
COUNTER_HALF_LIFE_HOURS: Final = 72.0  # decay of the hourly counters, on read
