"""Processes of local servers: started detached, found again, ended whole.

Two marks make a process ours, so that a recycled pid is never killed: the pid file of a server's first process holds
its pid and start time (written by that process before it becomes the server, so there is no moment without it), and
every process carries its pid file's path in the environment variable `WATCHNEXT_SERVER`, which its children inherit.
Linux only: reads `/proc`.
"""

import os
import signal
import subprocess
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

SERVER_MARK: Final = "WATCHNEXT_SERVER"
STARTER_MARK: Final = "WATCHNEXT_STARTER"
_POLL_SECONDS: Final = 0.02
_RECORD_SECONDS: Final = 10.0  # for the first process to write its pid file, which it does at once
# Field 22 of /proc/PID/stat is the start time in clock ticks since boot; exec keeps pid and start time.
_RECORD_AND_BECOME: Final = 'echo "$$ $(cut -d " " -f 22 /proc/$$/stat)" >"$0.new" && mv "$0.new" "$0" && exec "$@"'


@dataclass(frozen=True, slots=True)
class Process:
    """A process that was: `started` is in clock ticks since boot."""

    pid: int
    started: int

    @property
    def alive(self) -> bool:
        """Is it still this process (same start time), and no zombie?"""
        fields = _stat(self.pid)
        return fields is not None and fields[0] not in "ZX" and int(fields[19]) == self.started


def start(command: Iterable[str], *, pid_file: Path, log: Path, folder: Path, environment: Mapping[str, str]) -> None:
    """Starts `command` in a session of its own, child of nobody here; returns when `pid_file` is written."""
    pid_file.unlink(missing_ok=True)
    marked = {**environment, SERVER_MARK: str(pid_file)}
    detached = ["setsid", "--fork", "/bin/sh", "-c", _RECORD_AND_BECOME, str(pid_file), *command]
    # A starter in the background of a script ignores SIGINT, and so would the server, whose stop signal it may be.
    previous = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with log.open("ab") as output:
            subprocess.run(
                detached,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=folder,
                env=marked,
                check=True,
            )
    finally:
        signal.signal(signal.SIGINT, previous)
    # Not "while a marked process lives": in the middle of exec a process has no environment to read.
    deadline = time.monotonic() + _RECORD_SECONDS
    while read(pid_file) is None and time.monotonic() < deadline:
        time.sleep(_POLL_SECONDS)


def read(pid_file: Path) -> Process | None:
    """The process in a pid file, alive or not; none where there is no file."""
    try:
        pid, started = pid_file.read_text().split()
        return Process(int(pid), int(started))
    except (FileNotFoundError, ValueError):
        return None


def marked_pids(mark: str, value: str) -> list[int]:
    """Live processes whose environment has `mark` set to `value`."""
    entry = os.fsencode(f"{mark}={value}")
    found = []
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit():
            continue
        with suppress(OSError):  # gone meanwhile, or another user's
            if entry in (folder / "environ").read_bytes().split(b"\0"):
                found.append(int(folder.name))
    return found


def marked_values(mark: str) -> set[str]:
    """All values of `mark` among live processes."""
    prefix = f"{mark}=".encode()
    values = set()
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            with suppress(OSError):
                environment = (folder / "environ").read_bytes().split(b"\0")
                values |= {os.fsdecode(entry[len(prefix) :]) for entry in environment if entry.startswith(prefix)}
    return values


def end(pid_file: Path, *, stop_signal: signal.Signals, seconds: float) -> None:
    """Asks a server's first process to stop, waits up to `seconds`, then kills what is left of its processes."""
    process = read(pid_file)
    if process is not None and process.alive:
        with suppress(ProcessLookupError):
            os.kill(process.pid, stop_signal)
        deadline = time.monotonic() + seconds
        while process.alive and time.monotonic() < deadline:
            time.sleep(_POLL_SECONDS)
        if process.alive:
            with suppress(ProcessLookupError):
                os.kill(process.pid, signal.SIGKILL)
    kill_marked(SERVER_MARK, str(pid_file))
    pid_file.unlink(missing_ok=True)


def kill_marked(mark: str, value: str) -> None:
    """SIGKILL to all processes with this mark, until there are none."""
    while pids := marked_pids(mark, value):
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(_POLL_SECONDS)


def resident_bytes(pids: Iterable[int]) -> int:
    """Memory of processes, shared pages counted in each."""
    pages = 0
    for pid in pids:
        with suppress(OSError):
            pages += int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def age_seconds(process: Process) -> float:
    """How long it has been running."""
    uptime = float(Path("/proc/uptime").read_text().split()[0])
    return uptime - process.started / os.sysconf("SC_CLK_TCK")


def _stat(pid: int) -> list[str] | None:
    """Fields of /proc/PID/stat after the name (which may hold spaces): state first, start time at 19."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
