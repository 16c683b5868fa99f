"""Feature rows: one struct a Feast feature view, the single definition of each feature's name and type.

The stream folds events into these rows, `watchnext.store` derives the Feast schemas from them, and
`watchnext.features.state` reads them. Field kinds: `str`, `int` (int64), `float` (float64), `bool`, and lists of the
first three. Sizes are those of `watchnext.features.spec`.
Lists of one row that belong together have one length and run from old to new.
A watch or an impression that is not `timed` has the time UNKNOWN_MS: older than all others, and never a "time since".
"""

from typing import Any, ClassVar, Final

import msgspec

from watchnext.contracts.names import Entity, Topic, View

UNKNOWN_MS: Final = 0


class FeatureRow(msgspec.Struct, kw_only=True):
    """Base of all rows. `event_timestamp` is in microseconds: max(available_at, previous + 1 µs)."""

    VIEW: ClassVar[View]
    TOPIC: ClassVar[Topic]
    ENTITY: ClassVar[Entity]

    entity_id: str  # the value of the join key ENTITY
    event_timestamp: int = 0  # epoch microseconds, strictly increasing per entity

    @classmethod
    def features(cls) -> dict[str, Any]:
        """Feature name to Python type, in order, without the key and the timestamp."""
        return {
            field.name: field.type
            for field in msgspec.structs.fields(cls)
            if field.name not in ("entity_id", "event_timestamp")
        }


class UserRow(FeatureRow, kw_only=True):
    """A row keyed by user. The position of the last folded event is part of the row."""

    ENTITY: ClassVar[Entity] = Entity.USER

    partition: int = -1
    offset: int = -1
    event_ids: list[str] = []  # the last EVENT_IDS, against messages that a producer sent twice


class UserWatches(UserRow, kw_only=True):
    """The last HISTORY watches by (time, event_id), and what they add up to."""

    VIEW: ClassVar[View] = View.USER_WATCHES
    TOPIC: ClassVar[Topic] = Topic.WATCH

    watch_video_ids: list[str] = []
    watch_seconds: list[float] = []
    watch_fractions: list[float] = []  # watch_seconds / video_seconds, capped at 1
    watch_times: list[int] = []  # available_at, epoch ms, or UNKNOWN_MS
    watch_event_ids: list[str] = []  # tie-break of equal times
    channel_ids: list[str] = []  # the AGGREGATES channels last watched, by last watch, old to new
    channel_watches: list[int] = []
    channel_last: list[int] = []  # epoch ms, or UNKNOWN_MS
    topic_names: list[str] = []
    topic_watches: list[int] = []
    topic_last: list[int] = []  # epoch ms, or UNKNOWN_MS
    seen_ids: list[str] = []  # the last SEEN distinct watched videos, old to new
    watches: int = 0
    completions: int = 0  # completed watches out of a list: what came of the impressions
    watch_seconds_total: float = 0.0


class UserSearches(UserRow, kw_only=True):
    """The last HISTORY search tokens (unigrams and bigrams), and the last query."""

    VIEW: ClassVar[View] = View.USER_SEARCHES
    TOPIC: ClassVar[Topic] = Topic.SEARCH

    search_tokens: list[str] = []
    search_token_times: list[int] = []  # epoch ms
    search_token_events: list[str] = []  # event id of each token, tie-break of equal times
    last_query: str = ""
    last_query_at: int = 0
    last_query_event: str = ""
    searches: int = 0


class UserImpressions(UserRow, kw_only=True):
    """What was shown: the EXPOSURES videos last shown, with count and last time."""

    VIEW: ClassVar[View] = View.USER_IMPRESSIONS
    TOPIC: ClassVar[Topic] = Topic.IMPRESSION

    impression_video_ids: list[str] = []
    impression_counts: list[int] = []
    impression_last: list[int] = []  # epoch ms, or UNKNOWN_MS
    impressions: int = 0


class UserServings(UserRow, kw_only=True):
    """What was served (shown or not): the EXPOSURES videos last served, with count and last time."""

    VIEW: ClassVar[View] = View.USER_SERVINGS
    TOPIC: ClassVar[Topic] = Topic.SERVED

    serving_video_ids: list[str] = []
    serving_counts: list[int] = []
    serving_last: list[int] = []  # epoch ms
    servings: int = 0


class UserProfile(UserRow, kw_only=True):
    """Who the user is."""

    VIEW: ClassVar[View] = View.USER_PROFILE
    TOPIC: ClassVar[Topic] = Topic.PROFILE

    birth_year: int = 0  # 0 = not told
    age: float = -1.0  # years; -1 = not told
    gender: str = ""
    country: str = ""
    device: str = ""
    logged_in: bool = False


class VideoRow(FeatureRow, kw_only=True):
    """A row keyed by video."""

    ENTITY: ClassVar[Entity] = Entity.VIDEO


class VideoCatalog(VideoRow, kw_only=True):
    """What the video is."""

    VIEW: ClassVar[View] = View.VIDEO_CATALOG
    TOPIC: ClassVar[Topic] = Topic.CATALOG

    partition: int = -1
    offset: int = -1
    channel_id: str = ""
    topics: list[str] = []
    language: str = ""
    uploaded_at: int = 0
    video_seconds: float = 0.0
    title: str = ""
    restricted_countries: list[str] = []


class VideoCounters(VideoRow, kw_only=True):
    """How the video fared: integers in the last BUCKETS non-empty hours, and totals of all older ones.

    What has no time counts among the older ones.
    """

    VIEW: ClassVar[View] = View.VIDEO_COUNTERS
    TOPIC: ClassVar[Topic] = Topic.VIDEO_DELTAS

    partition: int = -1
    offset: int = -1
    origins: list[str] = []  # "topic/partition" of the user topics
    origin_offsets: list[int] = []  # the last offset counted of each
    bucket_hours: list[int] = []  # epoch hours
    bucket_impressions: list[int] = []
    bucket_clicks: list[int] = []
    bucket_completions: list[int] = []  # completed clicks
    bucket_watches: list[int] = []
    bucket_watch_ms: list[int] = []
    older_impressions: int = 0
    older_clicks: int = 0
    older_completions: int = 0
    older_watches: int = 0
    older_watch_ms: int = 0


USER_ROWS: Final[tuple[type[UserRow], ...]] = (
    UserWatches,
    UserSearches,
    UserImpressions,
    UserServings,
    UserProfile,
)
VIDEO_ROWS: Final[tuple[type[VideoRow], ...]] = (VideoCatalog, VideoCounters)
ROW_OF_VIEW: Final[dict[View, type[FeatureRow]]] = {row.VIEW: row for row in (*USER_ROWS, *VIDEO_ROWS)}
ROW_OF_TOPIC: Final[dict[Topic, type[FeatureRow]]] = {row.TOPIC: row for row in (*USER_ROWS, *VIDEO_ROWS)}
