"""Replaying a data set as if it ended today: all times move by the same number of whole days.

The shift is fixed at the first replay of a data set and kept in `<home>/replay.json`, so that a second replay, a larger
sample, and training months later all mean the same by "3 days ago". Whole days keep the time of day.

>>> days_to_today(last_ms=0, now_ms=10 * DAY_MS + 5)
10
"""

import fcntl
import itertools
import json
import os
import sys
import tempfile
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, TypeVar

import msgspec

from watchnext import file_lock
from watchnext.clock import DAY_MS, LONGEST_DAYS, Clock
from watchnext.contracts.events import (
    CatalogEvent,
    Event,
    ImpressionEvent,
    ProfileEvent,
    SearchEvent,
    ServedEvent,
    WatchEvent,
)
from watchnext.contracts.names import Topic
from watchnext.data.records import Dataset, Record
from watchnext.errors import DataError, UsageError

_TIME_FIELD: Final[dict[type[Event], str]] = {
    WatchEvent: "started_at",
    SearchEvent: "searched_at",
    ImpressionEvent: "shown_at",
    ServedEvent: "served_at",
    CatalogEvent: "uploaded_at",
    ProfileEvent: "updated_at",
}

_LONGEST_S: Final = LONGEST_DAYS * 86_400  # no sleep takes much more

E_ = TypeVar("E_", bound=Event)


@dataclass(frozen=True, slots=True)
class Shift:
    """By how much a data set was moved, and what has been sent of it."""

    days: int
    fixed_at_ms: int
    events: int = 0  # messages of the last replay that reached the end, or of one that was cut off: go on after them
    finished_at_ms: int = 0  # 0: none did yet
    checksum: int = 0  # of those `events`, where a replay was cut off: another sample begins with others
    sample: str = ""  # `Dataset.sample` of the last replay that reached the end; empty: the whole data set
    before: tuple[str, ...] = ()  # other samples that reached it earlier
    last_ms: int = 0  # `Dataset.last_ms`, for which the days were counted; 0: an older release did

    @property
    def ms(self) -> int:
        """The shift in milliseconds."""
        return self.days * DAY_MS

    @property
    def sent(self) -> set[str]:
        """The samples that reached the end."""
        return {*self.before, *([self.sample] if self.finished_at_ms else [])}

    def covers(self, sample: str) -> bool:
        """Whether a replay of `sample`, or of the whole data set, has reached the end."""
        return not self.sent.isdisjoint(("", sample))

    def of(self, sample: str) -> "Shift":
        """The same for a replay of `sample`: one of another sample that reached the end says nothing of it."""
        if self.covers(sample) or not self.finished_at_ms:
            return self
        return Shift(self.days, self.fixed_at_ms, before=tuple(sorted(self.sent)), last_ms=self.last_ms)

    def check_end(self, dataset: Dataset) -> None:
        """Return if `dataset` ends when the one ended for which the days were counted.

        Raises:
            UsageError: it has other files: its last events would lie in the future, or days ago.
        """
        if self.last_ms not in (0, dataset.last_ms):
            came, wanted = (datetime.fromtimestamp(ms / 1000, UTC) for ms in (dataset.last_ms, self.last_ms))
            raise UsageError(
                f"a {dataset.name} came that ends at {came:%Y-%m-%d %H:%M:%S} UTC, and the one that was replayed into "
                f"this home ends at {wanted:%Y-%m-%d %H:%M:%S}: name its folder, or set WATCHNEXT_HOME to another one"
            )


def days_to_today(last_ms: int, now_ms: int) -> int:
    """Whole days after which `last_ms` is less than a day ago; 0 for data that ends in the future."""
    return max(0, (now_ms - last_ms) // DAY_MS)


def fix_shift(home: Path, dataset: Dataset, clock: Clock) -> Shift:
    """The recorded shift of `dataset`; made and recorded if this is its first replay.

    Raises:
        UsageError: other files of that name were replayed before.
    """
    found = recorded_shift(home, dataset.name)
    if found is not None:
        found.check_end(dataset)
        return found
    now_ms = clock.now_ms()
    days = days_to_today(dataset.last_ms, now_ms)
    shift = Shift(days=days, fixed_at_ms=now_ms, last_ms=dataset.last_ms)
    _record(home, dataset.name, shift)
    return shift


def recorded_shift(home: Path, name: str) -> Shift | None:
    """The shift of the data set `name`, or none if it was never replayed.

    Raises:
        DataError: the record cannot be read.
    """
    return _records(home).get(name)


@contextmanager
def replaying(home: Path, name: str) -> Iterator[None]:
    """One replay of the data set `name` into `home` at a time: of two, each would forget what the other had sent.

    Raises:
        UsageError: another process is at it.
    """
    home.mkdir(parents=True, exist_ok=True)
    refusal = UsageError(
        f"{name} came to be replayed into {home}, and another process replays it just now: what both send would count "
        "twice; try again when that one has ended"
    )
    with file_lock.locked(home / f"replay-{name}.lock", refusal):
        yield


def record_finished(home: Path, name: str, shift: Shift, events: int, clock: Clock, *, sample: str = "") -> Shift:
    """Note that a replay of `sample` was sent to its end and acknowledged; what was sent whole stays so."""
    whole = not sample or shift.covers("")
    finished = replace(
        shift,
        events=events,
        finished_at_ms=clock.now_ms(),
        checksum=0,
        sample="" if whole else sample,
        before=() if whole else tuple(sorted(shift.sent - {sample})),
    )
    _record(home, name, finished)
    return finished


def record_progress(home: Path, name: str, shift: Shift, passed: "Passed") -> None:
    """Note that the first messages of a replay without a limit, those that passed, have arrived."""
    _record(home, name, replace(shift, events=passed.count, checksum=passed.checksum))


@dataclass(slots=True)
class Passed:
    """Counts records on their way; of two replays with equal counts and checksums, the same records have passed."""

    count: int = 0
    checksum: int = 0

    def through(self, records: Iterator[Record]) -> Iterator[Record]:
        """`records`, counted one by one as they are taken."""
        for topic, event in records:
            self.count += 1
            self.checksum = zlib.crc32(f"{topic.value} {event.key} {event.at_ms}\n".encode(), self.checksum)
            yield topic, event


def remaining_events(dataset: Dataset, shift: Shift) -> tuple[Passed, Iterator[Record]]:
    """What a replay that was cut off has not sent, and what had passed before.

    All, if none was cut off, or one of other users, days or files: its count says nothing of these events.
    """
    passed = Passed()
    records = passed.through(replay_events(dataset, shift))
    for _ in itertools.islice(records, 0 if shift.finished_at_ms else shift.events):
        pass
    if shift.finished_at_ms or (passed.count, passed.checksum) == (shift.events, shift.checksum):
        return passed, records
    passed = Passed()
    return passed, passed.through(replay_events(dataset, shift))


def replay_events(dataset: Dataset, shift: Shift, *, limit: int = 0) -> Iterator[Record]:
    """Catalogue, profiles, then at most `limit` (0: all) events in time order, all shifted."""
    for video in dataset.catalog():
        yield Topic.CATALOG, shift_event(video, shift.ms)
    for profile in dataset.profiles():
        yield Topic.PROFILE, shift_event(profile, shift.ms)
    for topic, event in itertools.islice(dataset.events(), min(limit, sys.maxsize) or None):
        yield topic, shift_event(event, shift.ms)


def shift_event(event: E_, shift_ms: int) -> E_:
    """`event` later by `shift_ms`; a time of 0 means unknown and stays."""
    field = _TIME_FIELD[type(event)]
    at_ms = getattr(event, field)
    return msgspec.structs.replace(event, **{field: at_ms + shift_ms}) if at_ms else event


def paced(
    records: Iterator[Record],
    speed: float,
    *,
    sleep: Callable[[float], None] = time.sleep,
    monotonic: Callable[[], float] = time.monotonic,
) -> Iterator[Record]:
    """`records` at `speed` times their own pace; catalogue and profiles do not wait. 0: as fast as they are taken."""
    began_ms: int | None = None
    began = monotonic()
    for topic, event in records:
        if speed > 0 and topic not in (Topic.CATALOG, Topic.PROFILE):
            if began_ms is None:
                began_ms, began = event.at_ms, monotonic()
            wait = (event.at_ms - began_ms) / 1000 / speed - (monotonic() - began)
            if wait > 0:
                sleep(min(wait, _LONGEST_S))
        yield topic, event


def _path(home: Path) -> Path:
    return home / "replay.json"


def _records(home: Path) -> dict[str, Shift]:
    path = _path(home)
    if not path.exists():
        return {}
    try:
        return msgspec.json.decode(path.read_bytes(), type=dict[str, Shift])
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise DataError(
            f"{path}: {error}; wanted the shifts of earlier replays as JSON: restore or delete it"
        ) from error


def _record(home: Path, name: str, shift: Shift) -> None:
    home.mkdir(parents=True, exist_ok=True)
    with (home / "replay.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # of two replays at once each keeps the other's record
        records = {known: asdict(entry) for known, entry in (_records(home) | {name: shift}).items()}
        with tempfile.NamedTemporaryFile("w", dir=home, prefix="replay-", delete=False) as file:
            json.dump(records, file, indent=1)
        os.replace(file.name, _path(home))
