"""The events: one JSON message each, keyed by user or by video, validated at every edge.

Times are epoch milliseconds, durations seconds, ids strings. Readers ignore fields that they do not know, and a
new field always has a default, so that yesterday's messages read (`tests/unit/contracts/schemas/`).

>>> decode(Topic.SEARCH, b'{"event_id":"e1","user_id":"u1","query":"cats","searched_at":1}').query
'cats'
"""

from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta

from watchnext.contracts.names import DERIVED_SURFACE, Topic
from watchnext.errors import EventError

MAX_MESSAGE_BYTES: Final = 1_000_000  # the broker's own default limit is 1 MiB
MAX_MILLIS: Final = 4_102_444_800_000

Id = Annotated[str, Meta(min_length=1, max_length=256, description="opaque id")]
Millis = Annotated[int, Meta(ge=0, le=MAX_MILLIS, description="epoch milliseconds, before 2100")]
Seconds = Annotated[float, Meta(ge=0, le=604_800, description="seconds, a week at most")]
Text = Annotated[str, Meta(max_length=2_000)]
Word = Annotated[str, Meta(max_length=256)]
# Every integer has bounds: JSON has none, and a column of the archive holds 64 bits.
Place = Annotated[int, Meta(ge=0, le=1_000_000, description="place on a list, from 0")]
Count = Annotated[int, Meta(ge=0, le=2**31 - 1)]
Offset = Annotated[int, Meta(ge=0, le=2**63 - 1)]
EpochHour = Annotated[int, Meta(ge=0, le=1_139_568, description="epoch hours, before 2100")]


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """Base of all events; `key` is the Kafka key, `at_ms` the time at which the event becomes available."""

    @property
    def key(self) -> str:
        """The Kafka message key."""
        raise NotImplementedError

    @property
    def at_ms(self) -> int:
        """Epoch ms at which the event may be used as a feature."""
        raise NotImplementedError


def is_timed(surface: str) -> bool:
    """Whether an event with this surface has real times."""
    return surface != DERIVED_SURFACE


class UserEvent(Event, frozen=True, kw_only=True):
    """An event keyed by its user."""

    user_id: Id

    @property
    def key(self) -> str:
        """The user id."""
        return self.user_id


class WatchEvent(UserEvent, frozen=True, kw_only=True):
    """A user watched a video. `request_id` says that it came from one of our lists (a click)."""

    event_id: Id
    video_id: Id
    started_at: Millis
    watch_seconds: Seconds
    video_seconds: Annotated[float, Meta(gt=0, le=604_800)]
    completed: bool
    device: Word = ""
    country: Word = ""
    surface: Word = ""
    request_id: Id | None = None

    @property
    def at_ms(self) -> int:
        """The end of the watch: nobody knows how long it was before."""
        return self.started_at + round(self.watch_seconds * 1000)

    @property
    def timed(self) -> bool:
        """Whether its times are real; made-up ones say when the row may be read, and reach no feature and no label."""
        return is_timed(self.surface)


class SearchEvent(UserEvent, frozen=True, kw_only=True):
    """A user searched."""

    event_id: Id
    query: Text
    searched_at: Millis

    @property
    def at_ms(self) -> int:
        """The time of the search."""
        return self.searched_at


class ImpressionEvent(UserEvent, frozen=True, kw_only=True):
    """A user saw a video on a list, written by the client (or by the gateway in its stead)."""

    event_id: Id
    request_id: Id
    video_id: Id
    position: Place
    shown_at: Millis
    surface: Word = ""

    @property
    def at_ms(self) -> int:
        """The time at which it was shown."""
        return self.shown_at

    @property
    def timed(self) -> bool:
        """As of a watch."""
        return is_timed(self.surface)


class ServedItem(msgspec.Struct, frozen=True, kw_only=True):
    """One line of a served list. `features` is the ranker's feature vector, base64 of little-endian float32."""

    video_id: Id
    position: Place
    sources: list[str]
    scores: list[float] = []  # the retrieval score, one whatever the sources; none in a static list
    expected_seconds: float | None = None
    features: str = ""


class ServedEvent(UserEvent, frozen=True, kw_only=True):
    """The whole list of one answer, written by the gateway."""

    request_id: Id
    served_at: Millis
    surface: Word = ""
    device: Word = ""
    country: Word = ""
    generation: str = ""
    overlay: Count = 0
    arm: str = ""
    degraded: list[str] = []
    items: list[ServedItem]
    seed_video_id: Id | None = None

    @property
    def event_id(self) -> str:
        """A request is served once."""
        return self.request_id

    @property
    def at_ms(self) -> int:
        """The time of the answer."""
        return self.served_at


class CatalogEvent(Event, frozen=True, kw_only=True):
    """What a video is; the topic is compacted, the last message of a video wins."""

    video_id: Id
    channel_id: Word = ""
    topics: Annotated[list[Word], Meta(max_length=32)] = []
    language: Word = ""
    uploaded_at: Millis
    video_seconds: Annotated[float, Meta(gt=0, le=604_800)]
    title: Text = ""
    restricted_countries: Annotated[list[Word], Meta(max_length=256)] = []

    @property
    def key(self) -> str:
        """The video id."""
        return self.video_id

    @property
    def at_ms(self) -> int:
        """The upload."""
        return self.uploaded_at


class ProfileEvent(UserEvent, frozen=True, kw_only=True):
    """Who a user is; the topic is compacted, the last message of a user wins. `birth_year` or `age`, or neither."""

    birth_year: Annotated[int, Meta(ge=1900, le=2100)] | None = None
    age: Annotated[float, Meta(ge=0, le=130)] | None = None
    gender: Word = ""
    country: Word = ""
    device: Word = ""
    logged_in: bool = True
    updated_at: Millis = 0

    @property
    def at_ms(self) -> int:
        """The time of the profile's last change; 0 where the source has none."""
        return self.updated_at


class DeadLetter(msgspec.Struct, frozen=True, kw_only=True):
    """A message that could not be used: its bytes (base64), where it stood, and why."""

    topic: str
    partition: Count
    offset: Offset
    error: str
    key: Annotated[str, Meta(description="base64, cut to what a message may carry")] = ""
    value: Annotated[str, Meta(description="base64, cut to what a message may carry, see value_bytes")] = ""
    value_bytes: Count = 0


class VideoDelta(Event, frozen=True, kw_only=True):
    """A counted event of a video, repartitioned from a user topic; (topic, partition, offset) is its origin."""

    video_id: Id
    topic: Word
    partition: Count
    offset: Offset
    hour: EpochHour | None  # of the event's available time; none where that was made up
    available_at: Millis
    impressions: Count = 0
    clicks: Count = 0
    completions: Count = 0  # completed clicks
    watches: Count = 0
    watch_ms: Count = 0

    @property
    def key(self) -> str:
        """The video id."""
        return self.video_id

    @property
    def at_ms(self) -> int:
        """The available time of the counted event."""
        return self.available_at


EVENT_OF_TOPIC: Final[dict[Topic, type[Event]]] = {
    Topic.WATCH: WatchEvent,
    Topic.SEARCH: SearchEvent,
    Topic.SERVED: ServedEvent,
    Topic.IMPRESSION: ImpressionEvent,
    Topic.CATALOG: CatalogEvent,
    Topic.PROFILE: ProfileEvent,
    Topic.VIDEO_DELTAS: VideoDelta,
}

_ENCODER = msgspec.json.Encoder()
_DECODERS = {topic: msgspec.json.Decoder(kind) for topic, kind in EVENT_OF_TOPIC.items()}


def encode(event: msgspec.Struct) -> bytes:
    """JSON bytes of an event."""
    return _ENCODER.encode(event)


def decode(topic: Topic, value: bytes | None) -> Event:
    """The event in a message of `topic`.

    Raises:
        EventError: no value, too long, not JSON, or not of the topic's schema; the message says which.
    """
    if not value:
        raise EventError(f"{topic.value}: an empty message came; wanted one JSON object")
    if len(value) > MAX_MESSAGE_BYTES:
        raise EventError(f"{topic.value}: {len(value):,} bytes came; at most {MAX_MESSAGE_BYTES:,} are read")
    try:
        return _DECODERS[topic].decode(value)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise EventError(f"{topic.value}: {error}") from error


def json_schema(topic: Topic) -> dict[str, Any]:
    """JSON Schema of a topic's messages, as committed in `docs/schemas/`."""
    return msgspec.json.schema(DeadLetter if topic is Topic.DEAD_LETTERS else EVENT_OF_TOPIC[topic])
