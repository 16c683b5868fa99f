"""What tests of threads wait for."""

import time
from collections.abc import Callable


def eventually(true: Callable[[], bool]) -> None:
    """Return once a condition is true."""
    deadline = time.monotonic() + 10
    while not true():
        assert time.monotonic() < deadline, "it did not become true within 10 s"
        time.sleep(0.01)
