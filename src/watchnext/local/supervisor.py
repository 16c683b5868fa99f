"""Starts, watches and stops the local servers of one home.

    up(settings)                                    all servers, to stay after this process
    up(settings, only=["kafka", "valkey"])          these two
    with running(settings, only=["kafka"]): ...     one, for as long as the body runs
    down(settings)

A starter that fails, is interrupted or dies takes with it what it started (see `guardian`).
"""

import fcntl
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from watchnext.errors import ServerError
from watchnext.local import processes
from watchnext.local.environment import server_environment
from watchnext.local.guardian import guarded
from watchnext.local.instance import Instance, ServerStatus
from watchnext.local.ports import check_distinct, check_ports
from watchnext.local.processes import SERVER_MARK, STARTER_MARK
from watchnext.local.servers import run_folder
from watchnext.local.stack import local_servers
from watchnext.settings import Settings

Progress = Callable[[str, str], None]  # server name, what happened to it
POLL_SECONDS: Final = 0.1
LOCK_SECONDS: Final = 180.0


def up(settings: Settings, only: Sequence[str] = (), progress: Progress | None = None) -> list[str]:
    """Starts what is not running and waits until all asked for is ready; names what it started.

    Raises:
        ServerError: a port is taken, or a server died or was not ready in time; with its last log lines. What this
            call had started is stopped again.
        PrerequisiteError: Java, Kafka's jars or the router are missing.
        ConfigError: two servers have the same port.
    """
    instances = _instances(settings, only)
    with _locked(settings) as lock, guarded(lock) as starter:
        return _start(settings, instances, starter, progress or _silent)


def down(settings: Settings, only: Sequence[str] = (), progress: Progress | None = None) -> list[str]:
    """Stops servers in reverse order of starting, and whatever else of this home still runs; names what it stopped."""
    instances = _instances(settings, only, skip_remote=True)
    with _locked(settings):
        stopped = _stop(instances, progress or _silent)
        return stopped if only else stopped + _stop_strays(settings)


def status(settings: Settings) -> list[ServerStatus]:
    """All servers of this home, in starting order, without those that a setting places on another machine."""
    return [instance.status() for instance in _instances(settings, skip_remote=True)]


@contextmanager
def running(settings: Settings, only: Sequence[str] = (), progress: Progress | None = None) -> Iterator[None]:
    """Servers for the length of the body; those that ran before are left running.

    Not even SIGKILL of this process leaves one behind.
    """
    instances, tell = _instances(settings, only), progress or _silent
    with guarded() as starter:
        with _locked(settings):
            started = _start(settings, instances, starter, tell)
        try:
            yield
        finally:
            with _locked(settings):
                _stop([instance for instance in instances if instance.name in started], tell)


def _instances(settings: Settings, only: Sequence[str] = (), *, skip_remote: bool = False) -> list[Instance]:
    home = settings.home.absolute()
    return [Instance(server, home) for server in local_servers(settings, only, skip_remote=skip_remote)]


def _start(settings: Settings, instances: list[Instance], starter: str, tell: Progress) -> list[str]:
    """Starts what is down, and asks each server whether it is ready, as soon as those it comes after are ready."""
    check_distinct(instance.server for instance in instances)
    down_now = [instance for instance in instances if not instance.alive]
    for instance in down_now:
        check_ports(instance.server, instance.pid_file)
    environment = {**server_environment(settings), STARTER_MARK: starter} if down_now else {}
    names = {instance.name for instance in instances}
    since = {instance.name: time.monotonic() for instance in instances if instance not in down_now}
    waiting, ready = list(down_now), set[str]()
    try:
        while ready != names:
            due = [one for one in instances if names.intersection(one.server.after) <= ready]
            for instance in [one for one in due if one in waiting]:
                tell(instance.name, "starting")
                instance.spawn(environment)
                since[instance.name] = time.monotonic()
                waiting.remove(instance)
            for instance in due:
                if instance.name in ready:
                    instance.check_alive(since[instance.name])
                elif instance.is_ready(since[instance.name]):
                    ready.add(instance.name)
                    tell(instance.name, _ready_after(since[instance.name]) if instance in down_now else "running")
            time.sleep(POLL_SECONDS if ready != names else 0)
    except BaseException:  # Ctrl-C too: what this call started must not stay
        _stop(down_now, tell)
        raise
    return [instance.name for instance in down_now]


def _stop(instances: list[Instance], tell: Progress) -> list[str]:
    stopped = []
    for instance in reversed(instances):
        if instance.stop():
            tell(instance.name, "stopped")
            stopped.append(instance.name)
    return stopped


def _stop_strays(settings: Settings) -> list[str]:
    """Ends servers of this home that the settings of today do not name, such as a third worker of yesterday."""
    folder = run_folder(settings.home.absolute())
    strays = [Path(value) for value in processes.marked_values(SERVER_MARK) if Path(value).parent == folder]
    for pid_file in strays:
        processes.kill_marked(SERVER_MARK, str(pid_file))
        pid_file.unlink(missing_ok=True)
    return [pid_file.stem for pid_file in strays]


@contextmanager
def _locked(settings: Settings) -> Iterator[int]:
    """One starter or stopper of a home at a time; yields the lock's descriptor.

    Where the body fails, or its process is killed, the lock is held until those who inherited it have ended.
    """
    folder = run_folder(settings.home.absolute())
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        deadline = time.monotonic() + LOCK_SECONDS
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise ServerError(
                        f"another `watchnext up` or `down` has held {lock.name} for {LOCK_SECONDS:.0f} s: "
                        "wait for it, or end it"
                    ) from None
                time.sleep(POLL_SECONDS)
        yield lock.fileno()
        fcntl.flock(lock, fcntl.LOCK_UN)


def _ready_after(since: float) -> str:
    return f"ready after {time.monotonic() - since:.1f} s"


def _silent(name: str, event: str) -> None:
    """The progress of a caller that wants none."""
