"""Workers for the stream tests: real processes that crash or freeze at a chosen write.

They are forked from a server that has imported everything once: importing feast takes longer than the tests.
"""

import multiprocessing
import os
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from pathlib import Path
from signal import SIGKILL, Signals
from typing import Any, Literal

from tests.services.conftest import free_ports
from watchnext.settings import Settings

Step = Literal["archive", "offline", "deltas", "online", "commit", "merge"]
FAN = 4  # parts are merged: of a test's few batches too

_forks = multiprocessing.get_context("forkserver")
_forks.set_forkserver_preload(["watchnext.stream.worker", "tests.services.stream_rig"])


@dataclass(frozen=True)
class Fault:
    """At the `call`-th call of `step`, before or after its work, the process sends itself `signal`."""

    step: Step
    call: int
    after: bool
    signal: Signals = SIGKILL


def start_worker(settings: Settings, name: str, fault: Fault | None = None) -> BaseProcess:
    """A worker process with a port of its own; it ends on SIGTERM, at its fault, or with this process."""
    [port] = free_ports(1)
    settings = settings.model_copy(update={"ops": settings.ops.model_copy(update={"worker_port": port})})
    process = _forks.Process(target=_work, args=(settings, name, fault), name=name, daemon=True)
    process.start()
    return process


def is_stopped(process: BaseProcess) -> bool:
    """Has SIGSTOP frozen it? Not if it died just now."""
    try:
        state = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state == "T"


def _work(settings: Settings, name: str, fault: Fault | None) -> None:
    from watchnext import parts
    from watchnext.stream import materializer, worker

    parts.FAN = materializer.FAN = FAN  # type: ignore[misc]
    if fault is not None:
        _plant(fault)
    with (settings.home / f"{name}.log").open("w") as log:
        os.dup2(log.fileno(), 2)
        worker.log_to_stderr(name)
        worker.run(settings, name)


def _plant(fault: Fault) -> None:
    from kafka import KafkaConsumer

    from watchnext import parts
    from watchnext.store.offline import OfflineLog
    from watchnext.store.rows import FeatureStoreRows
    from watchnext.stream.archive import EventArchive
    from watchnext.stream.producer import EventProducer

    steps: dict[Step, tuple[Any, str]] = {
        "archive": (EventArchive, "write"),
        "offline": (OfflineLog, "write_part"),
        "deltas": (EventProducer, "flush"),
        "online": (FeatureStoreRows, "write"),
        "commit": (KafkaConsumer, "commit"),
        "merge": (parts, "_merge"),
    }
    owner, method = steps[fault.step]
    real = getattr(owner, method)
    calls = 0

    def struck(*arguments: Any, **options: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == fault.call and not fault.after:
            os.kill(os.getpid(), fault.signal)
        result = real(*arguments, **options)
        if calls == fault.call and fault.after:
            os.kill(os.getpid(), fault.signal)
        return result

    setattr(owner, method, struck)
