"""Every name that two processes must agree on, once.

Columns of feature rows are the fields of the structs in `contracts.rows`; event fields those of `contracts.events`.
"""

from enum import IntFlag, StrEnum
from functools import cache
from typing import Final

SCHEMA_VERSION: Final = 1  # of the envelope and of every event
DERIVED_SURFACE: Final = "derived-history"  # of an event whose time was made up: it is history, and no label


class Topic(StrEnum):
    """Kafka topics. The first six are the contract with the user's applications."""

    WATCH = "watch-events"
    SEARCH = "search-events"
    SERVED = "served-events"
    IMPRESSION = "impression-events"
    CATALOG = "video-catalog"
    PROFILE = "user-profiles"
    DEAD_LETTERS = "dead-letters"
    VIDEO_DELTAS = "video-deltas"  # ours: user-keyed events repartitioned by video for the counters


COMPACTED_TOPICS: Final = (Topic.CATALOG, Topic.PROFILE)


class View(StrEnum):
    """Feast feature views: one a source topic (see `contracts.rows`)."""

    USER_WATCHES = "user_watches"
    USER_SEARCHES = "user_searches"
    USER_IMPRESSIONS = "user_impressions"
    USER_SERVINGS = "user_servings"
    USER_PROFILE = "user_profile"
    VIDEO_CATALOG = "video_catalog"
    VIDEO_COUNTERS = "video_counters"


class Entity(StrEnum):
    """Feast entities; the value is the join key."""

    USER = "user_id"
    VIDEO = "video_id"


class FeatureService(StrEnum):
    """Versioned Feast feature services."""

    USER = "user_v1"
    VIDEO = "video_v1"


class Source(IntFlag):
    """Where a candidate came from: a bit each, so that one int32 column tells all sources of a candidate."""

    TOWER = 1
    SIMILAR = 2  # met by who met what this user watched and was shown
    CHANNELS = 4  # channels that the user watches most
    TRENDING = 8
    FRESH = 16
    POPULAR = 32  # per country, from the generation
    STATIC = 64  # the gateway's own list

    @property
    def label(self) -> str:
        """The word that answers and events carry, such as `tower`."""
        return str(self.name).lower()


@cache  # flags are slow to take apart, and a list asks once a video
def source_labels(bits: int) -> tuple[str, ...]:
    """Names of the sources in a bitmask, in bit order.

    >>> source_labels(9)
    ('tower', 'trending')
    """
    return tuple(source.label for source in Source if bits & source)


class Degraded(StrEnum):
    """What an answer had to do without; `docs/ladder.md` is the table."""

    RANKING = "ranking"  # retrieval order: the ranker was down, late or of another generation
    INDEX = "index"  # sources without the tower: Milvus was down or late
    FEATURES = "features"  # popular per country: the feature store was down or late
    GENERATION = "generation"  # nothing is published: the static list
    GRAPH = "graph"  # the static list: the inference graph was down or late


MODEL_RETRIEVAL: Final = "retrieval"
MODEL_RANKER: Final = "ranker"
GRAPH: Final = "watchnext"

MAX_K: Final = 500
COLLECTION_PREFIX: Final = "videos_"


def collection_name(generation: str, overlay: int) -> str:
    """Milvus collection of one generation and overlay.

    >>> collection_name("0123456789abcdef", 2)
    'videos_0123456789abcdef_2'
    """
    return f"{COLLECTION_PREFIX}{generation}_{overlay}"


def ranker_version(generation: str, overlay: int) -> str:
    """TorchServe model version of one generation and overlay, as in `/predictions/ranker/{version}`."""
    return f"{generation}.{overlay}"
