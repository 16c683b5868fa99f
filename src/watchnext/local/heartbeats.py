"""Readiness of servers that listen on no port: they replace a small file every second or two."""

import json
import time
from pathlib import Path
from typing import Final

from watchnext.local import processes

FRESH_SECONDS: Final = 30.0  # a worker does not beat while it writes a batch


def worker_is_ready(run: Path, name: str) -> bool:
    """Does the process in `<run>/<name>.pid` say in `<run>/<name>.json` that it is ready (`stream.heartbeat`)?"""
    process = processes.read(run / f"{name}.pid")
    try:
        told = json.loads((run / f"{name}.json").read_text())
    except FileNotFoundError:
        return False
    fresh = time.time() - told["at"] < FRESH_SECONDS
    return process is not None and told["pid"] == process.pid and told["state"] == "ready" and fresh


def replica_is_ready(run: Path, name: str, generations: str, role: str) -> bool:
    """Does the process in `<run>/<name>.pid` keep its replica file in the generation store (`generation.follow`)?

    A store that is not a local folder is not asked: there, the process lives is all that is known.
    """
    process = processes.read(run / f"{name}.pid")
    if process is None or "://" in generations:
        return process is not None
    files = Path(generations, "replicas").glob(f"{role}-*-{process.pid}.json")
    return any(time.time() - file.stat().st_mtime < FRESH_SECONDS for file in files)
