"""The refresh interval, in which video counters stand still: training and serving read them as of its start."""

from watchnext.settings import Settings


def refresh_interval_floor(at_ms: int, settings: Settings) -> int:
    """`at_ms` floored to the refresh interval: the time as of which serving, and so training, sees video counters.

    >>> refresh_interval_floor(7_300_000, Settings())
    7200000
    """
    interval_ms = int(settings.generations.refresh_minutes * 60_000)
    return at_ms // interval_ms * interval_ms
