"""The one clock. Code that needs "now" is handed a `Clock`; nothing else reads the wall clock.

>>> FixedClock(1_000).now_ms()
1000
"""

import time
from dataclasses import dataclass
from typing import Protocol

DAY_MS = 86_400_000
HOUR_MS = 3_600_000
LONGEST_DAYS = 36_500  # a century: what is longer ends a clock or a wait, or does not fit 64 bits of milliseconds


class Clock(Protocol):
    """Anything that tells the time as epoch milliseconds."""

    def now_ms(self) -> int:
        """Epoch milliseconds."""
        ...


class SystemClock:
    """The machine's clock."""

    def now_ms(self) -> int:
        """Epoch milliseconds."""
        return time.time_ns() // 1_000_000


@dataclass(frozen=True, slots=True)
class FixedClock:
    """A clock that stands still, for tests and repeatable answers."""

    at_ms: int

    def now_ms(self) -> int:
        """Epoch milliseconds, always the same."""
        return self.at_ms
