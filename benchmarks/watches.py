"""Watches that the stream benchmarks send, each with an event id of its own."""

import itertools
import random
from typing import Final

from watchnext.clock import SystemClock
from watchnext.contracts.events import WatchEvent, encode

USERS: Final = 2_000  # of the load; their videos are none of the world's

numbers: Final = itertools.count()
_draw: Final = random.Random(7)


def a_watch(user: str, video: str = "") -> WatchEvent:
    number = next(numbers)
    return WatchEvent(
        event_id=f"bench-{number}",
        user_id=user,
        video_id=video or f"bench-v{_draw.randrange(5_000)}",
        started_at=SystemClock().now_ms() - 30_000,
        watch_seconds=20.0,
        video_seconds=60.0,
        completed=True,
    )


def messages(count: int) -> list[tuple[bytes, bytes]]:
    events = (a_watch(f"u{_draw.randrange(USERS)}") for _ in range(count))
    return [(event.key.encode(), encode(event)) for event in events]
