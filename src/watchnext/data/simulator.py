"""The simulator as a data set: a world's past, for searches, fresh uploads, load and loops. All of it is simulated.

>>> Simulator(days=30).describe().counts["users"]                                 # doctest: +SKIP
200
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from watchnext.clock import DAY_MS
from watchnext.contracts.events import CatalogEvent, ProfileEvent
from watchnext.contracts.names import Topic
from watchnext.data.records import Description, Record
from watchnext.data.truth import WorldConfig
from watchnext.data.world import World

NAME: Final = "simulator"
DAYS: Final = 30  # of the past, where nothing else is said
END_MS: Final = 1_767_225_600_000  # 2026-01-01 UTC: every simulated past ends here, so one shift fits all lengths
_PLURAL: Final = {
    Topic.WATCH: "watches",
    Topic.IMPRESSION: "impressions",
    Topic.SEARCH: "searches",
    Topic.CATALOG: "uploads",
}

DERIVED: Final = {"everything": "simulated from a seed; see docs/data.md for the rules of the world"}


class Simulator:
    """The past of a seeded world, `days` long."""

    name = NAME
    derived = DERIVED
    dropped: Final[dict[str, int]] = {}
    last_ms = END_MS - 1

    def __init__(self, config: WorldConfig | None = None, *, days: int = DAYS) -> None:
        users = (config or WorldConfig()).users
        self.sample = "" if (users, days) == (WorldConfig().users, DAYS) else f"{users} users, {days} days"
        self._days = days
        self._config = replace(config or WorldConfig(), start_ms=END_MS - days * DAY_MS)

    def world(self, shift_ms: int = 0) -> World:
        """A new world at its start, later by the shift of a replay; the same but for the times."""
        return World(replace(self._config, start_ms=self._config.start_ms + shift_ms))

    def catalog(self) -> Iterator[CatalogEvent]:
        """Videos at the start."""
        return self.world().catalog()

    def profiles(self) -> Iterator[ProfileEvent]:
        """All users."""
        return self.world().profiles()

    def events(self) -> Iterator[Record]:
        """All events of the past, uploads among them."""
        return self.world().history(self._days)

    def describe(self) -> Description:
        """Counts, by running the world once."""
        counts = Counter(topic for topic, _ in self.events())
        return Description(
            name=NAME,
            source=f"a seeded world (seed {self._config.seed}, {self._days} days)",
            counts={
                "users": self._config.users,
                "videos": self._config.videos + counts[Topic.CATALOG],
                **{name: counts[topic] for topic, name in _PLURAL.items()},
            },
            first_ms=self._config.start_ms,
            last_ms=self.last_ms,
            derived=DERIVED,
        )
