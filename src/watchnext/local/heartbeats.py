"""Whether a replica that answers no requests has joined: it keeps a small file in the generation store."""

import time
from pathlib import Path
from typing import Final

from watchnext.local import processes

FRESH_SECONDS: Final = 30.0  # it beats every other second, unless the machine is busy


def replica_is_ready(run: Path, name: str, generations: str, role: str) -> bool:
    """Does the process in `<run>/<name>.pid` keep its replica file in the generation store (`generation.follow`)?

    A store that is not a local folder is not asked: there, the process lives is all that is known.
    """
    process = processes.read(run / f"{name}.pid")
    if process is None or "://" in generations:
        return process is not None
    files = Path(generations, "replicas").glob(f"{role}-*-{process.pid}.json")
    return any(time.time() - file.stat().st_mtime < FRESH_SECONDS for file in files)
