"""What a running gateway counts, read from its `/metrics`."""

import time

import httpx
from prometheus_client.parser import text_string_to_metric_families

from watchnext.recommend.client import rest_url
from watchnext.settings import Settings

WRITTEN = "watchnext_served_written_total"
DROPPED = "watchnext_served_dropped_total"


def counted(settings: Settings, name: str, **labels: str) -> float:
    """The sum of the counters of a name with these labels."""
    text = httpx.get(f"{rest_url(settings)}/metrics", timeout=10).text
    samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
    return sum(one.value for one in samples if one.name == name and labels.items() <= one.labels.items())


def settled(settings: Settings, lists: float, seconds: float = 60) -> tuple[float, float]:
    """Written and dropped lists, once these are `lists` or after so many seconds."""
    deadline = time.monotonic() + seconds
    while True:
        found = counted(settings, WRITTEN), counted(settings, DROPPED)
        if sum(found) >= lists or time.monotonic() > deadline:
            return found
        time.sleep(0.2)
