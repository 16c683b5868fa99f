"""One home holds one data set: `watchnext demo` puts another's home aside, whole, and takes it back when asked again.

>>> aside(Path(".watchnext"), "kuairand")
PosixPath('.watchnext-kuairand')
"""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Final

from watchnext import file_lock
from watchnext.errors import DataError
from watchnext.local import supervisor
from watchnext.settings import Settings

_MARK: Final = "demo.json"
_LOCK: Final = "demo.lock"  # moves with the home


@dataclass(frozen=True, slots=True)
class Mark:
    """What a demo's home says of itself."""

    data: str  # name of the data set
    path: str = ""  # folder of its files; empty where none was named
    user: str = ""  # who is shown; empty before the first demo came so far


def aside(home: Path, data: str) -> Path:
    """Where the home of the data set `data` lies while another one is in its place."""
    return home.with_name(f"{home.name}-{data}")


def place_of(home: Path, data: str) -> Path:
    """Where the home of `data` lies now, or will be made: `home`, or aside of it.

    Raises:
        DataError: `home` holds the current folder, or a mark that cannot be read.
    """
    _check_apart(home)
    held = mark_of(home)
    here = held.data == data if held else not aside(home, data).exists()
    return home if here else aside(home, data)


def mark_of(home: Path) -> Mark | None:
    """The mark of the demo that `home` holds; none where it holds no demo.

    Raises:
        DataError: its mark cannot be read.
    """
    mark = home / _MARK
    if not mark.exists():
        return None
    try:
        return Mark(**json.loads(mark.read_text()))
    except (ValueError, TypeError) as error:
        raise DataError(f"{mark}: cannot be read ({error}); `make clean` starts anew") from error


def take_home(settings: Settings, data: str, path: Path | None = None) -> str:
    """Make `settings.home` the home of the data set `data`; returns the data set that was put aside, if any.

    Args:
        settings: name the home.
        data: the data set.
        path: folder of its files, noted where one is named.

    Raises:
        DataError: the home holds the current folder, events that no demo brought or a mark that cannot be read, a demo
            of other data is at work in it, or a folder is in the way.
    """
    home = settings.home.absolute()
    _check_apart(home)
    held = mark_of(home)
    if held is None and (home / "archive").exists():
        raise DataError(
            f"{home} holds events that `watchnext demo` did not bring: set WATCHNEXT_HOME to another folder, "
            "or remove this one with `make clean`"
        )
    other = held.data if held and held.data != data else ""
    if other:
        busy = DataError(f"a demo of {other} is at work in {home}: wait for its end")
        with file_lock.locked(home / _LOCK, busy):
            supervisor.down(settings)
            _move(home, aside(home, other))
    if aside(home, data).exists() and mark_of(home) is None:
        _move(aside(home, data), home)
    home.mkdir(parents=True, exist_ok=True)
    mark = mark_of(home) or Mark(data)
    _write(home, replace(mark, path=str(path.absolute())) if path else mark)
    return other


@contextmanager
def held(home: Path, data: str) -> Iterator[None]:
    """A demo of `data` is at work in `home`: none of other data puts it aside, nor sends events to its servers.

    Raises:
        DataError: one is at that just now, or has done it.
    """
    late = DataError(
        f"a demo of other data puts {home} aside: of two at once only one has its servers; wait for its end"
    )
    with file_lock.locked(home / _LOCK, late, shared=True):
        mark = mark_of(home)
        if mark is None or mark.data != data:
            raise late
        yield


def note_user(home: Path, data: str, user: str) -> None:
    """Keep who the demo of `data` in `home` shows, for the next one."""
    _write(home, replace(mark_of(home) or Mark(data), user=user))


def _check_apart(home: Path) -> None:
    """A demo of other data would rename the current folder, with all else that it holds."""
    if Path.cwd().is_relative_to(os.path.realpath(home)):
        raise DataError(f"{home} is the current folder, or holds it: set WATCHNEXT_HOME to a folder of its own")


def _write(home: Path, mark: Mark) -> None:
    (home / _MARK).write_text(json.dumps(asdict(mark)))


def _move(source: Path, target: Path) -> None:
    """Rename `source`; an empty `target` gives way."""
    try:
        source.rename(target)
    except OSError as error:
        raise DataError(
            f"{source} cannot take the place of {target} ({error.strerror}): stop the servers there with "
            f"`watchnext down` and remove {target}, or set WATCHNEXT_HOME to another folder"
        ) from error
