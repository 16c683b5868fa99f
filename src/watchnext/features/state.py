"""The user's side of a request: feature row → `UserState` → `EncodedUser`, arrays of indices and numbers.

The state is what `watchnext.store` reads in one go, the encoded user is what towers, cross features and ranker read,
here and behind the wire (`to_columns`). Training joins rows as of labels' times and encodes whole columns of them
(`watchnext.training.states`). Of what a list is made (`LISTS`), and each number, is said here for both.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, dataclass, field, fields
from datetime import UTC, datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from watchnext.features.spec import HISTORY, HOUR_MS
from watchnext.features.tokens import tokenize
from watchnext.features.vocabulary import Vocabularies, Vocabulary

Ints = NDArray[np.int32]
Longs = NDArray[np.int64]
Floats = NDArray[np.float32]

ALIGNED = (
    ("watch_video_ids", "watch_seconds", "watch_fractions", "watch_times"),
    ("channel_ids", "channel_watches", "channel_last"),
    ("topic_names", "topic_watches", "topic_last"),
    ("impression_video_ids", "impression_counts", "impression_last"),
    ("serving_video_ids", "serving_counts", "serving_last"),
)
"""Columns whose lists belong together."""


@dataclass(frozen=True, kw_only=True)
class UserState:
    """The columns of the five user rows that models read, by the names of `contracts.rows`; lists run old to new."""

    watch_video_ids: list[str] = field(default_factory=list)
    watch_seconds: list[float] = field(default_factory=list)
    watch_fractions: list[float] = field(default_factory=list)
    watch_times: list[int] = field(default_factory=list)
    channel_ids: list[str] = field(default_factory=list)
    channel_watches: list[int] = field(default_factory=list)
    channel_last: list[int] = field(default_factory=list)
    topic_names: list[str] = field(default_factory=list)
    topic_watches: list[int] = field(default_factory=list)
    topic_last: list[int] = field(default_factory=list)
    seen_ids: list[str] = field(default_factory=list)
    watches: int = 0
    completions: int = 0
    search_tokens: list[str] = field(default_factory=list)
    last_query: str = ""
    last_query_at: int = 0
    impression_video_ids: list[str] = field(default_factory=list)
    impression_counts: list[int] = field(default_factory=list)
    impression_last: list[int] = field(default_factory=list)
    impressions: int = 0
    serving_video_ids: list[str] = field(default_factory=list)
    serving_counts: list[int] = field(default_factory=list)
    serving_last: list[int] = field(default_factory=list)
    birth_year: int = 0
    age: float = -1.0
    gender: str = ""
    country: str = ""
    device: str = ""
    logged_in: bool = False

    @classmethod
    def names(cls) -> list[str]:
        """Column names, in order."""
        return [column.name for column in fields(cls)]

    @classmethod
    def numbers(cls) -> dict[str, Any]:
        """The columns that are no lists, with what they are where nothing is known."""
        return {column.name: column.default for column in fields(cls) if column.default is not MISSING}

    @classmethod
    def from_rows(cls, values: Mapping[str, Any]) -> "UserState":
        """From the merged, un-prefixed columns of a user's rows; a missing, None or NaN one is empty.

        Raises:
            ValueError: lists that belong together differ in length.
        """
        present: dict[str, Any] = {}
        for name, kind in _KINDS.items():
            value = values.get(name)
            if value is not None and not (isinstance(value, float) and value != value):
                present[name] = kind(value)
        state = cls(**present)
        for names in ALIGNED:
            check_aligned(names, [len(getattr(state, name)) for name in names])
        return state


def check_aligned(names: Sequence[str], lengths: Sequence[int]) -> None:
    """Refuse lists that belong together and differ in length."""
    if len(set(lengths)) > 1:
        raise ValueError(f"columns {', '.join(names)} came with lengths {list(lengths)}; wanted one length")


def _plain_list(value: Any) -> list[Any]:
    return value.tolist() if isinstance(value, np.ndarray) else list(value)


_KINDS: dict[str, Callable[[Any], Any]] = {
    column.name: _plain_list if column.default is MISSING else type(column.default) for column in fields(UserState)
}


@dataclass(frozen=True, kw_only=True)
class RequestContext:
    """What a request says beside its user. An empty device or country leaves the profile's."""

    now_ms: int
    surface: str = ""
    device: str = ""
    country: str = ""
    seed_video_id: str = ""


@dataclass(frozen=True, kw_only=True)
class EncodedUser:
    """A user in a generation's indices (0 = unknown). Videos are rows of the video table; times are epoch ms."""

    history: Ints  # [≤ HISTORY] watched rows, old to new
    history_at: Longs
    history_seconds: Floats
    history_fractions: Floats
    search_tokens: Ints  # [≤ HISTORY]
    query_tokens: Ints  # of the last query
    channels: Ints
    channel_watches: Ints
    channel_at: Longs
    topics: Ints
    topic_watches: Ints
    topic_at: Longs
    shown: Ints  # rows with impressions
    shown_counts: Ints
    shown_at: Longs
    served: Ints  # rows in served lists
    served_counts: Ints
    served_at: Longs
    country: int
    device: int
    gender: int
    surface: int
    seed: int  # row of the video that is being watched
    logged_in: int
    hour: int  # of the day, UTC, 0 to 23
    now_ms: int
    watches: int
    completions: int
    impressions: int
    last_query_at: int  # 0: never searched
    age: float  # years; -1: not told

    def to_columns(self) -> dict[str, NDArray[Any]]:
        """Arrays by name for `codec.pack`: the array fields, and `scalars` with all others as float64 (exact)."""
        columns: dict[str, NDArray[Any]] = {name: getattr(self, name) for name in _ARRAYS}
        columns["scalars"] = np.array([getattr(self, name) for name in _SCALARS], dtype=np.float64)
        return columns

    @classmethod
    def from_columns(cls, columns: Mapping[str, NDArray[Any]]) -> "EncodedUser":
        """What `to_columns` gave.

        Raises:
            ValueError: a column is missing, or there are more or fewer scalars.
        """
        missing = [name for name in (*_ARRAYS, "scalars") if name not in columns]
        if missing or len(columns["scalars"]) != len(_SCALARS):
            raise ValueError(f"an encoded user came without {missing}, or without {len(_SCALARS)} scalars")
        scalars: dict[str, Any] = {
            name: kind(value) for (name, kind), value in zip(_SCALARS.items(), columns["scalars"].tolist(), strict=True)
        }
        arrays: dict[str, Any] = {name: columns[name] for name in _ARRAYS}
        return cls(**arrays, **scalars)


_SCALARS: dict[str, type] = {
    column.name: column.type
    for column in fields(EncodedUser)
    if isinstance(column.type, type) and column.type in (int, float)
}
_ARRAYS = tuple(column.name for column in fields(EncodedUser) if column.name not in _SCALARS)


@dataclass(frozen=True)
class ListOf:
    """Which column of a `UserState` a list of an `EncodedUser` is made of, and how."""

    column: str
    vocabulary: str = ""  # whose indices its entries become; "": they are numbers
    kind: type[np.generic] = np.int32
    last: int | None = None  # so many are kept

    def of(self, state: UserState, vocabularies: Vocabularies) -> NDArray[Any]:
        """The list of one user."""
        values = getattr(state, self.column)
        if self.last is not None:
            values = values[-self.last :]
        if self.vocabulary:
            words: Vocabulary = getattr(vocabularies, self.vocabulary)
            return words.indices(values)
        return np.array(values, dtype=self.kind)


LISTS = {
    "history": ListOf("watch_video_ids", "videos", last=HISTORY),
    "history_at": ListOf("watch_times", kind=np.int64, last=HISTORY),
    "history_seconds": ListOf("watch_seconds", kind=np.float32, last=HISTORY),
    "history_fractions": ListOf("watch_fractions", kind=np.float32, last=HISTORY),
    "search_tokens": ListOf("search_tokens", "search_tokens", last=HISTORY),
    "channels": ListOf("channel_ids", "channels"),
    "channel_watches": ListOf("channel_watches"),
    "channel_at": ListOf("channel_last", kind=np.int64),
    "topics": ListOf("topic_names", "topics"),
    "topic_watches": ListOf("topic_watches"),
    "topic_at": ListOf("topic_last", kind=np.int64),
    "shown": ListOf("impression_video_ids", "videos"),
    "shown_counts": ListOf("impression_counts"),
    "shown_at": ListOf("impression_last", kind=np.int64),
    "served": ListOf("serving_video_ids", "videos"),
    "served_counts": ListOf("serving_counts"),
    "served_at": ListOf("serving_last", kind=np.int64),
}
"""The lists of an `EncodedUser`, but for those of its query."""


def encode_user(state: UserState, context: RequestContext, vocabularies: Vocabularies) -> EncodedUser:
    """The user as of `context.now_ms`, which must not be before anything in `state`."""
    lists: dict[str, Any] = {name: made.of(state, vocabularies) for name, made in LISTS.items()}
    return EncodedUser(**lists, **encode_numbers(state, context, vocabularies))


def encode_numbers(state: UserState, context: RequestContext, vocabularies: Vocabularies) -> dict[str, Any]:
    """What an `EncodedUser` has beside `LISTS`; of `state` no list is read."""
    return {
        "query_tokens": vocabularies.search_tokens.indices(tokenize(state.last_query)[:HISTORY]),
        "country": vocabularies.countries.index(context.country or state.country),
        "device": vocabularies.devices.index(context.device or state.device),
        "gender": vocabularies.genders.index(state.gender),
        "surface": vocabularies.surfaces.index(context.surface),
        "seed": vocabularies.videos.index(context.seed_video_id),
        "logged_in": int(state.logged_in),
        "hour": context.now_ms // HOUR_MS % 24,
        "now_ms": context.now_ms,
        "watches": state.watches,
        "completions": state.completions,
        "impressions": state.impressions,
        "last_query_at": state.last_query_at,
        "age": _age(state, context.now_ms),
    }


def _age(state: UserState, now_ms: int) -> float:
    """Years at `now_ms` by birth year, else the age that was told, else -1."""
    if state.birth_year > 0:
        return float(max(0, datetime.fromtimestamp(now_ms / 1000, UTC).year - state.birth_year))
    return state.age if state.age >= 0 else -1.0
