"""Time limits on calls to a backend that may be down, slow or hung (SIGSTOPped: it accepts and never answers).

A `Breaker` remembers failures in a row, so that a dead backend costs its time-out a few times and then nothing. A
`Bounded` runs blocking calls of one backend on threads of its own: a hung call keeps its thread, never the answer.
"""

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Generic, TypeVar

from watchnext.errors import UnavailableError
from watchnext.ops.metrics import BREAKER_OPEN

T = TypeVar("T")


class Breaker:
    """Opens after `failures` in a row, for `seconds`; then lets one call through to try, and so on.

    >>> breaker = Breaker("Valkey", failures=1, seconds=60)
    >>> breaker.failed()
    >>> breaker.allows()
    False
    """

    def __init__(
        self, backend: str, *, failures: int, seconds: float, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self.backend = backend
        self._gauge = BREAKER_OPEN.labels(backend)
        self._gauge.set(0)
        self._limit = failures
        self._seconds = seconds
        self._monotonic = monotonic
        self._failures = 0
        self._open_until = 0.0
        self._lock = threading.Lock()

    def allows(self) -> bool:
        """Whether a call may be made now; of the calls that wait for an open breaker, one a period may."""
        with self._lock:
            if self._failures < self._limit:
                return True
            now = self._monotonic()
            if now < self._open_until:
                return False
            self._open_until = now + self._seconds
            return True

    def succeeded(self) -> None:
        """A call came back in time."""
        with self._lock:
            self._failures = 0
            self._gauge.set(0)

    def failed(self) -> None:
        """A call failed or was late."""
        with self._lock:
            self._failures += 1
            if self._failures >= self._limit:
                self._open_until = self._monotonic() + self._seconds
                self._gauge.set(1)


class Bounded(Generic[T]):
    """Calls of one blocking function, each with a time limit, on a small pool of threads."""

    def __init__(self, function: Callable[..., T], *, threads: int, breaker: Breaker) -> None:
        self._function = function
        self._breaker = breaker
        self._pool = ThreadPoolExecutor(max_workers=threads, thread_name_prefix=breaker.backend)

    def start(self, *arguments: Any) -> "Call[T]":
        """Begin a call; its time limit runs from now."""
        if not self._breaker.allows():
            return Call(None, self._breaker)
        return Call(self._pool.submit(self._function, *arguments), self._breaker)

    def close(self) -> None:
        """Take no more calls and wait for none; Python itself, at its end, waits for hung ones until they time out."""
        self._pool.shutdown(wait=False, cancel_futures=True)


class Call(Generic[T]):
    """A call under way."""

    def __init__(self, future: "Future[T] | None", breaker: Breaker) -> None:
        self._future = future
        self._breaker = breaker
        self._started = time.monotonic()

    def result(self, budget_ms: float) -> T:
        """What the call returned, waiting no longer than `budget_ms` after its start.

        Raises:
            UnavailableError: the breaker is open, or the call failed or was late.
        """
        if self._future is None:
            raise UnavailableError(f"{self._breaker.backend}: not asked: it failed a moment ago")
        left = budget_ms / 1000 - (time.monotonic() - self._started)
        try:
            value = self._future.result(max(0.0, left))
        except TimeoutError as error:
            self._future.cancel()  # a queued call is never made; a hung one keeps its thread until it ends
            self._breaker.failed()
            raise UnavailableError(f"{self._breaker.backend}: no answer within {budget_ms:.0f} ms") from error
        except Exception as error:  # any failure of a backend is a rung of the ladder
            self._breaker.failed()
            raise UnavailableError(f"{self._breaker.backend}: {type(error).__name__}: {error}") from error
        self._breaker.succeeded()
        return value
