"""What tests of threads wait for."""

import time
from collections.abc import Callable


def eventually(true: Callable[[], bool], *, seconds: float = 10) -> None:
    """Return once a condition is true."""
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, f"it did not become true within {seconds} s"
        time.sleep(0.01)
