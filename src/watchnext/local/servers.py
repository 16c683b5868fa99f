"""What the supervisor knows of a server: how to start it, how to ask whether it is ready, how to stop it."""

import os
import signal
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

ONE_THREAD: Final[Mapping[str, str]] = dict.fromkeys(
    ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS"), "1"
)


def run_folder(home: Path) -> Path:
    """Where the servers of a home run: pid files, the lock, the settings they read, a working folder each.

    One path however the home is spelled: by the path of its pid file a server's processes are found.
    """
    return Path(os.path.realpath(home), "run")  # of links that go round, `resolve` raises what is no OSError


def nothing() -> None:
    """The `prepare` of a server that needs no files."""


@dataclass(frozen=True, slots=True)
class Port:
    """A port that the server listens on, and the setting that moves it (empty: none does)."""

    number: int
    setting: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """One local server."""

    name: str
    what: str  # for `watchnext status`
    command: tuple[str, ...]
    ports: tuple[Port, ...] = ()
    ready: Callable[[], bool] | None = None  # one quick question; None: ready as soon as it lives
    after: tuple[str, ...] = ()  # servers that must be ready before this one is started
    environment: Mapping[str, str] = field(default_factory=dict)
    prepare: Callable[[], None] = nothing  # writes its configuration, before each start
    stop_signal: signal.Signals = signal.SIGTERM
    stop_seconds: float = 10  # from the stop signal to SIGKILL
    start_seconds: float = 300  # against hangs; a busy machine may take a minute to import torch
