"""A small file that tells the supervisor what a worker is doing: `<home>/run/<name>.json`, replaced each second."""

import json
import os
import time
from pathlib import Path
from typing import Any, Final

_EVERY_S: Final = 1.0


class Heartbeat:
    """Written with `state` starting, ready or stopping, the time, and the caller's fields; gone after `remove`."""

    def __init__(self, folder: Path, name: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._path = folder / f"{name}.json"
        self._state = ""
        self._written = 0.0

    def beat(self, state: str, **fields: Any) -> None:
        """Write at once when the state changes, else at most once a second."""
        now = time.monotonic()
        if state == self._state and now - self._written < _EVERY_S:
            return
        self._state, self._written = state, now
        aside = self._path.with_suffix(".tmp")
        aside.write_text(json.dumps({"pid": os.getpid(), "state": state, "at": time.time(), **fields}))
        aside.replace(self._path)

    def remove(self) -> None:
        """The worker has stopped."""
        self._path.unlink(missing_ok=True)
