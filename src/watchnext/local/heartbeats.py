"""Whether a replica that answers no requests has joined: it keeps a small file in the generation store."""

import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

from watchnext.errors import GenerationError
from watchnext.generation.manifest import POINTER, REPLICAS, Pointer, Replica, Target, decode
from watchnext.local import processes

FRESH_SECONDS: Final = 30.0  # it beats every other second, unless the machine is busy


def replica_is_ready(run: Path, name: str, generations: str, role: str, served: Callable[[], bool]) -> bool:
    """Does the process in `<run>/<name>.pid` keep its replica file in the generation store (`generation.follow`)?

    Where a generation is live, it must have loaded that, which is `served`, or have refused it: then there is nothing
    to wait for. A store that is not a local folder is not asked: there, the process lives is all that is known.
    """
    process = processes.read(run / f"{name}.pid")
    if process is None or "://" in generations:
        return process is not None
    live = _live(generations)
    for file in Path(generations, REPLICAS).glob(f"{role}-*-{process.pid}.json"):
        with suppress(FileNotFoundError, GenerationError):  # it has stopped meanwhile, or begins to write
            replica = decode(file.read_bytes(), Replica, str(file), mend="")
            if time.time() - file.stat().st_mtime < FRESH_SECONDS:
                if live is None or str(live) in replica.refused:
                    return True
                return live in replica.loaded and served()
    return False


def _live(generations: str) -> Target | None:
    """What the pointer calls live; none where nothing is published, or the pointer cannot be read."""
    file = Path(generations, POINTER)
    with suppress(FileNotFoundError, GenerationError):
        return decode(file.read_bytes(), Pointer, str(file), mend="").live
    return None
