"""One server in one home: its pid file, its log, and what can be done with it."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from watchnext.errors import ServerError
from watchnext.local import processes
from watchnext.local.processes import SERVER_MARK
from watchnext.local.servers import Server, run_folder

State = Literal["running", "not ready", "stopped"]
LOG_LINES: Final = 20
LOG_BYTES: Final = 10_000_000  # a longer log is put aside at the next start, the one before that is dropped


@dataclass(frozen=True, slots=True)
class ServerStatus:
    """One line of `watchnext status`."""

    name: str
    what: str
    state: State
    pid: int | None
    ports: list[int]
    seconds: float  # since its start
    resident_mb: int
    log: str


@dataclass(frozen=True, slots=True)
class Instance:
    """A server and its files under `home` (absolute)."""

    server: Server
    home: Path

    @property
    def name(self) -> str:
        """The server's name."""
        return self.server.name

    @property
    def pid_file(self) -> Path:
        """Where its first process records itself."""
        return run_folder(self.home) / f"{self.name}.pid"

    @property
    def log(self) -> Path:
        """Its output, of all its runs."""
        return self.home / "logs" / f"{self.name}.log"

    @property
    def alive(self) -> bool:
        """Does its first process live?"""
        process = processes.read(self.pid_file)
        return process is not None and process.alive

    def spawn(self, environment: Mapping[str, str]) -> None:
        """Starts it; does not wait until it is ready."""
        folder = run_folder(self.home) / self.name
        folder.mkdir(parents=True, exist_ok=True)
        self.log.parent.mkdir(parents=True, exist_ok=True)
        if self.log.exists() and self.log.stat().st_size > LOG_BYTES:
            self.log.replace(self.log.with_suffix(".log.1"))
        processes.kill_marked(SERVER_MARK, str(self.pid_file))  # children that a killed server left
        self.server.prepare()
        processes.start(
            self.server.command,
            pid_file=self.pid_file,
            log=self.log,
            folder=folder,
            environment={**environment, **self.server.environment},
        )

    def check_alive(self, since: float) -> None:
        """Sees that it lives, `since` (monotonic seconds) being its start.

        Raises:
            ServerError: it has ended; with the last lines of its log.
        """
        if not self.alive:
            seconds = time.monotonic() - since
            raise ServerError(f"{self.name} ended {seconds:.0f} s after its start. {self._last_words()}")

    def is_ready(self, since: float) -> bool:
        """Is it ready, `since` (monotonic seconds) being its start?

        Raises:
            ServerError: it has ended, or has not become ready in its time; with the last lines of its log.
        """
        self.check_alive(since)
        if self.server.ready is None or self.server.ready():
            return True
        seconds = time.monotonic() - since
        if seconds > self.server.start_seconds:
            raise ServerError(f"{self.name} is not ready after {seconds:.0f} s. {self._last_words()}")
        return False

    def stop(self) -> bool:
        """Ends it with all its processes; False where there was nothing to end."""
        if not self.alive and not processes.marked_pids(SERVER_MARK, str(self.pid_file)):
            return False
        processes.end(self.pid_file, stop_signal=self.server.stop_signal, seconds=self.server.stop_seconds)
        return True

    def status(self) -> ServerStatus:
        """How it is now."""
        process = processes.read(self.pid_file)
        live = process if process is not None and process.alive else None
        state: State = "stopped"
        pids = set[int]()
        if live is not None:
            state = "running" if self.server.ready is None or self.server.ready() else "not ready"
            pids = {live.pid, *processes.marked_pids(SERVER_MARK, str(self.pid_file))}
        return ServerStatus(
            name=self.name,
            what=self.server.what,
            state=state,
            pid=live.pid if live else None,
            ports=[port.number for port in self.server.ports],
            seconds=round(processes.age_seconds(live), 1) if live else 0.0,
            resident_mb=processes.resident_bytes(pids) // 1_000_000,
            log=str(self.log),
        )

    def _last_words(self) -> str:
        lines = self.log.read_text(errors="replace").splitlines()[-LOG_LINES:] if self.log.exists() else []
        return f"Last lines of {self.log}:\n" + "\n".join(lines)
