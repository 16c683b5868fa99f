"""What each process that serves a generation says of itself: a file under `replicas/`, written again every 2 seconds.

>>> from watchnext.clock import FixedClock
>>> replicas = Replicas(Files("memory://doc-replicas"), FixedClock(10_000))
>>> replicas.write(Replica(name="retrieval-host-7", at=9_000))
>>> [replica.name for replica in replicas.alive()]
['retrieval-host-7']
"""

from collections.abc import Iterator
from typing import Final

from watchnext.clock import DAY_MS, Clock
from watchnext.generation.files import Files
from watchnext.generation.manifest import REPLICAS, Replica, decode, encode

TTL_MS: Final = 10_000  # a replica is alive while its heartbeat is younger
FORGET_MS: Final = DAY_MS  # a process that was killed leaves its file: a publisher removes it once it is older


class Replicas:
    """The replicas of one generation store."""

    def __init__(self, files: Files, clock: Clock):
        self._files = files
        self._clock = clock

    def write(self, replica: Replica) -> None:
        """Say what a serving process has loaded or refused."""
        self._files.write(f"{REPLICAS}/{replica.name}.json", encode(replica))

    def forget(self, name: str) -> None:
        """A serving process has stopped."""
        self._files.delete(f"{REPLICAS}/{name}.json")

    def alive(self) -> tuple[Replica, ...]:
        """The replicas whose hearts beat, by name.

        Raises:
            GenerationError: a replica's file cannot be read.
        """
        since = self._clock.now_ms() - TTL_MS
        return tuple(replica for replica in self._all() if replica.at >= since)

    def forget_dead(self) -> None:
        """Remove the files of processes that were killed over `FORGET_MS` ago.

        Raises:
            GenerationError: a replica's file cannot be read.
        """
        since = self._clock.now_ms() - FORGET_MS
        for replica in self._all():
            if replica.at < since:
                self.forget(replica.name)

    def _all(self) -> Iterator[Replica]:
        for name in self._files.names(REPLICAS):
            path = f"{REPLICAS}/{name}"
            try:
                yield decode(
                    self._files.read(path),
                    Replica,
                    f"{self._files.url}/{path}",
                    mend="delete it, its process writes it anew while it lives",
                )
            except FileNotFoundError:
                continue  # it stopped between the listing and the reading
