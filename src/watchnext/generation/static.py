"""The gateway's static list: the live generation's popular videos, kept in memory for when no other part answers.

>>> static = StaticList(GenerationStore.open(settings))                                 # doctest: +SKIP
>>> static.start()                                                                      # doctest: +SKIP
>>> static.ids()                                                                        # doctest: +SKIP
"""

import json
import threading
from collections.abc import Sequence
from typing import Final

import structlog

from watchnext.errors import GenerationError
from watchnext.generation.manifest import Target
from watchnext.generation.store import GenerationStore

STATIC: Final = "static.json"  # in a bundle: video ids, best first
POLL_S: Final = 5.0

log = structlog.get_logger()


class StaticList:
    """A thread that reads the list again when the pointer has moved; what was read is kept while the store is away."""

    def __init__(self, store: GenerationStore, *, poll_s: float = POLL_S) -> None:
        self._store = store
        self._poll_s = poll_s
        self._ids: Sequence[str] = ()
        self._read: Target | None = None
        self._failure = ""
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="static-list", daemon=True)

    def ids(self) -> Sequence[str]:
        """Video ids, best first; none before the first generation."""
        return self._ids

    def start(self) -> None:
        """Start to follow the pointer."""
        self._thread.start()

    def stop(self) -> None:
        """Stop; a store that hangs is not waited for."""
        self._stop.set()

    def _follow(self) -> None:
        while not self._stop.is_set():
            try:
                self._step()
                self._failure = ""
            except (GenerationError, OSError, ValueError) as error:  # the list in memory goes on being served
                if str(error) != self._failure:  # once, not every few seconds
                    self._failure = str(error)
                    log.warning("static_list.not_read", error=self._failure, kept=len(self._ids))
            self._stop.wait(self._poll_s)

    def _step(self) -> None:
        live = self._store.pointer().live
        if live is None or live == self._read:
            return
        ids = json.loads(self._store.read(live, STATIC))
        self._ids, self._read = ids, live
        log.info("static_list.read", target=str(live), videos=len(ids))
