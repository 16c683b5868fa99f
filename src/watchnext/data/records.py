"""What a data set is: a catalogue, profiles, and events in the order in which they become available.

A data set speaks through the events of `watchnext.contracts.events` and nothing else; `watchnext replay` sends them.
Times are the data's own; the shift to today is `watchnext.data.replay`'s.
"""

import hashlib
import heapq
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from watchnext.contracts.events import CatalogEvent, Event, ProfileEvent
from watchnext.contracts.names import Topic

Record = tuple[Topic, Event]


@dataclass(frozen=True, slots=True)
class Description:
    """What `watchnext data show` prints. Times are epoch ms, unshifted."""

    name: str
    source: str  # where the data comes from
    counts: dict[str, int]  # users, videos, watches, impressions, ...
    first_ms: int
    last_ms: int
    derived: dict[str, str] = field(default_factory=dict)
    dropped: dict[str, int] = field(default_factory=dict)


class Dataset(Protocol):
    """A source of events. Iterating twice gives the same events."""

    @property
    def name(self) -> str:
        """The name that `open_dataset` knows."""
        ...

    @property
    def last_ms(self) -> int:
        """The time at which the last event of the whole data set becomes available, whatever users are kept."""
        ...

    @property
    def sample(self) -> str:
        """What it is instead of the whole data set, such as "10 users"; empty for the whole."""
        ...

    @property
    def derived(self) -> Mapping[str, str]:
        """What is not in the data, to the rule that made it."""
        ...

    @property
    def dropped(self) -> Mapping[str, int]:
        """File and reason, to the rows left out."""
        ...

    def catalog(self) -> Iterator[CatalogEvent]:
        """Videos known before the first event."""
        ...

    def profiles(self) -> Iterator[ProfileEvent]:
        """Users known before the first event."""
        ...

    def events(self) -> Iterator[Record]:
        """Everything else, sorted by `at_ms`."""
        ...

    def describe(self) -> Description:
        """Counts, times, what is derived and by which rule, what was left out."""
        ...


def in_time_order(*streams: Iterable[Record]) -> Iterator[Record]:
    """Merges streams that are each sorted by `at_ms`; at equal times the earlier argument goes first.

    An impression and its watch may be stamped alike: give impressions first.
    """
    return heapq.merge(*streams, key=lambda record: record[1].at_ms)


def fraction_of(*parts: object) -> float:
    """A number in [0, 1) that depends on `parts` alone: the same on every machine and in every run.

    >>> round(fraction_of("film length", 50), 4)
    0.1448
    """
    return (number_of(*parts) >> 11) * 2.0**-53


def number_of(*parts: object) -> int:
    """64 bits that depend on `parts` alone."""
    digest = hashlib.blake2b("\0".join(map(str, parts)).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little")


def sample_of(users: int, everybody: int) -> str:
    """The sample that keeps so many of all users (0: all), in words; "" where it is no sample.

    >>> sample_of(10, 20), sample_of(0, 20), sample_of(20, 20)
    ('10 users', '', '')
    """
    return f"{users} users" if 0 < users < everybody else ""


def keep_users(user_ids: Iterable[str], users: int) -> set[str]:
    """The first `users` ids by hash (0: all), so that a larger sample contains the smaller one."""
    ids = set(user_ids)
    if users <= 0 or users >= len(ids):
        return ids
    return set(sorted(ids, key=lambda user_id: (fraction_of("user sample", user_id), user_id))[:users])
