"""One home holds one data set: `watchnext demo` puts another's home aside, whole, and takes it back when asked again.

>>> aside(Path(".watchnext"), "kuairand")
PosixPath('.watchnext-kuairand')
"""

import json
from pathlib import Path
from typing import Final

from watchnext.errors import DataError
from watchnext.local import supervisor
from watchnext.settings import Settings

_MARK: Final = "demo.json"


def aside(home: Path, data: str) -> Path:
    """Where the home of the data set `data` lies while another one is in its place."""
    return home.with_name(f"{home.name}-{data}")


def data_of(home: Path) -> str:
    """The data set whose demo `home` holds, or the empty string.

    Raises:
        DataError: its mark cannot be read.
    """
    mark = home / _MARK
    if not mark.exists():
        return ""
    try:
        return str(json.loads(mark.read_text())["data"])
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(f"{mark}: cannot be read ({error}); `make clean` starts anew") from error


def take_home(settings: Settings, data: str) -> str:
    """Make `settings.home` the home of the data set `data`; returns the data set that was put aside, if any.

    Raises:
        DataError: the home holds events that no demo brought, or a mark that cannot be read.
    """
    home = settings.home.absolute()
    held = data_of(home)
    if not held and (home / "archive").exists():
        raise DataError(
            f"{home} holds events that `watchnext demo` did not bring: set WATCHNEXT_HOME to another folder, "
            "or remove this one with `make clean`"
        )
    if held and held != data:
        supervisor.down(settings)
        home.rename(aside(home, held))
    if aside(home, data).exists() and not (home / _MARK).exists():
        if home.exists():
            home.rmdir()
        aside(home, data).rename(home)
    home.mkdir(parents=True, exist_ok=True)
    (home / _MARK).write_text(json.dumps({"data": data}))
    return held if held != data else ""
