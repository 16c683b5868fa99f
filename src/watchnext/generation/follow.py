"""The follower: keeps what one serving process has loaded in step with the pointer.

It loads what is live, what is staged, and what was live before; it acknowledges a staged generation by naming it among
what is loaded, refuses one that does not load (with the reason, so that the publisher fails at once), and switches when
the pointer moves. The generation that was served until then stays loaded, so that a rollback is a change of a variable.

>>> store = GenerationStore.open(settings)                                              # doctest: +SKIP
>>> with Follower(store, replica_name("retrieval"), store.load) as follower:            # doctest: +SKIP
...     follower.wait(30).videos
"""

import os
import socket
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Final, Generic, TypeVar

import structlog

from watchnext.errors import GenerationStoreError, NoGenerationError
from watchnext.generation.manifest import Pointer, Replica, Target
from watchnext.generation.store import GenerationStore
from watchnext.ops.metrics import GENERATION_INFO, GENERATION_LOAD_SECONDS, GENERATION_REFUSALS, POINTER_READ

HEARTBEAT_S: Final = 2.0  # a fifth of the time after which a replica is dead, `replicas.TTL_MS`
RETRY_S: Final = 5.0  # between attempts to load what is live and does not load
STOP_S: Final = 10.0  # wait for a load that is under way when the process stops

Loaded = TypeVar("Loaded")
log = structlog.get_logger()


def replica_name(role: str) -> str:
    """A name for this process, unique among replicas: role, host and process id."""
    return f"{role}-{socket.gethostname()}-{os.getpid()}"


def _forget(loaded: object) -> None:
    """Unloading is letting go."""


class Follower(Generic[Loaded]):
    """Two threads: one polls and loads, one keeps the heartbeat while a load takes its time."""

    def __init__(
        self,
        store: GenerationStore,
        name: str,
        load: Callable[[str, int], Loaded],
        *,
        unload: Callable[[Loaded], None] = _forget,
        poll_s: float = 0.5,
    ):
        """A follower that is not started yet.

        Args:
            store: where the pointer is.
            name: of this replica, unique (`replica_name`).
            load: makes the served object of a generation and overlay; raises where it cannot be served.
            unload: called with an object that is neither live, staged nor previous any more.
            poll_s: seconds between looks at the pointer.
        """
        self._store = store
        self._name = name
        self._load = load
        self._unload = unload
        self._poll_s = poll_s
        self._loaded: dict[Target, Loaded] = {}
        self._refused: dict[Target, str] = {}
        self._retry_at: dict[Target, float] = {}
        self._live: Target | None = None
        self._pointer: Pointer | None = None  # as last read
        self._attempt = ""
        self._state = threading.Lock()  # over the fields above
        self._telling = threading.Lock()  # one writer of the replica file at a time, so that the newest state wins
        self._stop = threading.Event()
        self._threads = [
            threading.Thread(target=self._follow, name=f"follow-{name}", daemon=True),
            threading.Thread(target=self._beat, name=f"heartbeat-{name}", daemon=True),
        ]

    def current(self) -> Loaded | None:
        """What is live and loaded; none before the first generation is."""
        with self._state:
            return self._loaded[self._live] if self._live else None

    def get(self, generation: str, overlay: int) -> Loaded | None:
        """A loaded generation and overlay, live or not."""
        with self._state:
            return self._loaded.get(Target(generation, overlay))

    def refused(self) -> dict[str, str]:
        """What did not load, and why."""
        with self._state:
            return {str(target): reason for target, reason in self._refused.items()}

    def missing(self) -> str:
        """Why what the pointer calls live is not served; empty where it is."""
        with self._state:
            if self._pointer is None:
                return "the pointer was not read yet: is the generation store there?"
            wanted = self._pointer.live
            if wanted is None:
                return "nothing is published: train with `watchnext pipeline run`"
            return "" if wanted == self._live else f"{wanted}: {self._refused.get(wanted, 'still loading')}"

    def wait(self, timeout_s: float) -> Loaded:
        """The live object, once it is loaded; what is loading is waited for however long it takes.

        Raises:
            NoGenerationError: nothing was published, or it did not load, within `timeout_s` seconds.
        """
        deadline = time.monotonic() + timeout_s
        while (loaded := self.current()) is None:
            if time.monotonic() > deadline and not self._is_loading():
                raise NoGenerationError(f"nothing is loaded after {timeout_s:g} s ({self.missing()})")
            time.sleep(self._poll_s / 5)
        return loaded

    def _is_loading(self) -> bool:
        """Whether what is live comes, for all that is known."""
        with self._state:
            wanted = self._pointer.live if self._pointer else None
            return wanted is not None and wanted not in self._refused

    def __enter__(self) -> "Follower[Loaded]":
        """Start to follow."""
        POINTER_READ.set(self._store.clock.now_ms() / 1000)  # a store that is never there ages from here
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop, and leave the list of replicas."""
        self._stop.set()
        for thread in self._threads:
            thread.join(STOP_S)
        try:
            self._store.replicas.forget(self._name)
        except GenerationStoreError as stopping:  # its heart has stopped: nobody waits for it
            log.warning("generation.replica_not_forgotten", replica=self._name, error=str(stopping))

    def _follow(self) -> None:
        self._repeat("follow", lambda: self._step(self._store.pointer()), self._poll_s)

    def _beat(self) -> None:
        self._repeat("heartbeat", self._tell, HEARTBEAT_S)

    def _repeat(self, task: str, act: Callable[[], None], every_s: float) -> None:
        """`act` until the follower stops; a failure that lasts is told once, and once when it is over."""
        failure = ""
        while not self._stop.is_set():
            try:
                act()
            except Exception as error:  # the store may be away: what is loaded goes on being served
                if repr(error) != failure:  # not `str`, in which the name of a temporary file changes each time
                    failure = repr(error)
                    log.exception("generation.follower_failed", replica=self._name, task=task)
            else:
                if failure:
                    log.info("generation.follower_resumed", replica=self._name, task=task)
                    failure = ""
            self._stop.wait(every_s)

    def _step(self, pointer: Pointer) -> None:
        changed = False
        POINTER_READ.set(self._store.clock.now_ms() / 1000)
        with self._state:
            self._pointer = pointer
        wanted = pointer.targets
        for target in wanted:
            if target not in self._loaded and self._is_due(target, pointer):
                self._try(target, is_wanted=target in (pointer.live, pointer.staged))
                changed = True
            if target == pointer.live and target in self._loaded and target != self._live:
                self._switch(target)
                changed = True
        if pointer.attempt != self._attempt:
            with self._state:
                self._attempt = pointer.attempt
            changed = True
        for target in [target for target in self._loaded if target not in wanted and target != self._live]:
            self._drop(target)
            changed = True
        for target in [target for target in self._refused if target not in wanted]:
            with self._state:
                del self._refused[target]
            self._retry_at.pop(target, None)
            changed = True
        if changed:
            self._tell()

    def _is_due(self, target: Target, pointer: Pointer) -> bool:
        """A staged generation is tried at each attempt; what is live or previous every `RETRY_S` seconds, too."""
        if target == pointer.staged and pointer.attempt != self._attempt:
            return True
        if target == pointer.staged and target != pointer.live:
            return False
        return time.monotonic() >= self._retry_at.get(target, 0.0)

    def _try(self, target: Target, *, is_wanted: bool) -> None:
        """Load `target`, or remember why it does not load: an alert counts that of what `is_wanted`, live or staged."""
        started = time.monotonic()
        try:
            loaded = self._load(target.generation, target.overlay)
        except Exception as error:  # whatever a load raises is a refusal, told to the publisher
            reason = f"{type(error).__name__}: {error}"
            if self._refused.get(target) != reason:
                log.exception("generation.refused", replica=self._name, target=str(target))
            with self._state:
                self._refused[target] = reason
            if is_wanted:
                GENERATION_REFUSALS.inc()
            self._retry_at[target] = time.monotonic() + RETRY_S
            return
        with self._state:
            self._loaded[target] = loaded
            self._refused.pop(target, None)
        seconds = time.monotonic() - started
        GENERATION_LOAD_SECONDS.observe(seconds)
        log.info("generation.loaded", replica=self._name, target=str(target), seconds=round(seconds, 3))

    def _switch(self, target: Target) -> None:
        with self._state:
            self._live = target
        GENERATION_INFO.clear()
        GENERATION_INFO.labels(target.generation, target.overlay).set(1)
        log.info("generation.live", replica=self._name, target=str(target))

    def _drop(self, target: Target) -> None:
        with self._state:
            loaded = self._loaded.pop(target)
        try:
            self._unload(loaded)
        except Exception:  # it is out of use already; what is left of it must not stop the follower
            log.exception("generation.unload_failed", replica=self._name, target=str(target))

    def _tell(self) -> None:
        with self._telling:
            with self._state:
                replica = Replica(
                    name=self._name,
                    at=self._store.clock.now_ms(),
                    attempt=self._attempt,
                    loaded=list(self._loaded),
                    refused={str(target): reason for target, reason in self._refused.items()},
                )
            self._store.replicas.write(replica)
