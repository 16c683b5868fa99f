"""`watchnext doctor`: what this machine lacks, and what mends it."""

import os
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import distributions
from pathlib import Path
from typing import Final

from watchnext.errors import WatchnextError
from watchnext.local.cache import kafka_jars, router_binary
from watchnext.local.instance import Instance
from watchnext.local.ports import port_holder, port_is_free
from watchnext.local.prerequisites import TOOLS
from watchnext.local.servers import Port
from watchnext.local.stack import local_servers
from watchnext.setting_keys import unread_variables
from watchnext.settings import Settings

SETUP: Final = "run `make setup`"
DISK_GB: Final = 12  # as the README says
LOCK: Final = Path("requirements.lock")


@dataclass(frozen=True, slots=True)
class Check:
    """One line of the doctor: `mend` is empty where nothing is wrong; a check that is not `needed` only informs."""

    name: str
    found: str
    mend: str = ""
    needed: bool = True

    @property
    def healthy(self) -> bool:
        """Is there nothing to mend?"""
        return not self.mend


def examine(settings: Settings) -> Iterator[Check]:
    """All checks, in order of dependence."""
    yield from _tools()
    yield _environment()
    yield _there("Kafka's jars", kafka_jars())
    yield _there("KServe's router", router_binary())
    yield from _ports(settings)
    yield _disk(settings.home.absolute())
    yield _shared_data(settings.shared.absolute())
    for name, nearest in unread_variables(Settings, os.environ).items():
        yield Check(name, "set, and names no setting", f"{nearest} is one" if nearest else "unset it", needed=False)


def _tools() -> Iterator[Check]:
    for tool in TOOLS:
        try:
            version = ".".join(map(str, tool.version()))
            yield Check(tool.name, f"{version} at {tool.path()}")
        except WatchnextError as error:
            yield Check(tool.name, str(error).partition(":")[0], tool.install)
    setsid = shutil.which("setsid")
    yield Check("setsid", setsid or "missing", "" if setsid else "install util-linux (servers are detached with it)")


def _environment() -> Check:
    """Compares installed packages with the lock of the current folder."""
    name = "Python environment"
    if not LOCK.is_file():
        return Check(name, f"no {LOCK} in {Path.cwd()}: not compared", needed=False)
    wanted = dict(re.findall(r"^([A-Za-z0-9._-]+)==(\S+)", LOCK.read_text(), flags=re.MULTILINE))
    # An install that broke off leaves folders without a name: what they held is then missing, and told.
    named = ((found.metadata["Name"], found) for found in distributions())
    installed = {_normal(name): found.version for name, found in named if name}
    off = [
        f"{package} {installed.get(_normal(package), 'missing')}, wanted {version}"
        for package, version in wanted.items()
        if installed.get(_normal(package)) != version
    ]
    if off:
        return Check(name, f"{len(off)} packages differ from {LOCK}: {'; '.join(off[:3])}", SETUP)
    return Check(name, f"{len(wanted)} packages as in {LOCK}")


def _there(name: str, path: Path) -> Check:
    return Check(name, str(path)) if path.exists() else Check(name, f"not at {path}", SETUP)


def _ports(settings: Settings) -> Iterator[Check]:
    for server in local_servers(settings, skip_remote=True):
        ours = Instance(server, settings.home.absolute()).alive
        for port in server.ports:
            yield _port(server.name, port, ours)


def _port(server: str, port: Port, ours: bool) -> Check:
    name = f"port {port.number} ({server})"
    if port_is_free(port.number):
        return Check(name, "free")
    if ours:
        return Check(name, f"held by our {server}")
    move = f", or set {port.setting}" if port.setting else ""
    return Check(name, f"held by {port_holder(port.number)}", f"stop that process{move}")


def _disk(home: Path) -> Check:
    place = next(folder for folder in (home, *home.parents) if folder.exists())
    free = shutil.disk_usage(place).free / 1e9
    mend = "" if free >= DISK_GB else f"free {DISK_GB} GB, or move it: WATCHNEXT_HOME"
    return Check("disk", f"{free:.0f} GB free for {home}", mend)


def _shared_data(folder: Path) -> Check:
    slice_folder = folder / "data" / "kuairand-pure"
    if slice_folder.is_dir():
        return Check("shared data", str(slice_folder), needed=False)
    return Check(
        "shared data", f"none at {slice_folder}", "only for its tests and `DATA=kuairand`: WATCHNEXT_SHARED", False
    )


def _normal(package: str) -> str:
    return re.sub(r"[-_.]+", "-", package).lower()
