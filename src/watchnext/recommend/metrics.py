"""What the gateway counts, on its `/metrics`."""

from typing import Final

from prometheus_client import Counter, Gauge, Histogram

SECONDS: Final = (0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.25, 0.5, 1.0, 2.5)

ANSWERS: Final = Counter("watchnext_answers", "answers of the gateway", ["protocol", "code"])
ANSWER_SECONDS: Final = Histogram("watchnext_answer_seconds", "time to an answer", ["protocol"], buckets=SECONDS)
DEGRADED: Final = Counter("watchnext_degraded", "answers that had to do without a part", ["part"])
IN_FLIGHT: Final = Gauge("watchnext_in_flight", "requests in flight")
SHED: Final = Counter("watchnext_shed", "requests refused because too many were in flight")
SERVED_WRITTEN: Final = Counter("watchnext_served_written", "served lists that Kafka acknowledged")
SERVED_DROPPED: Final = Counter("watchnext_served_dropped", "served lists lost because Kafka was away")
IMPRESSIONS_DROPPED: Final = Counter(
    "watchnext_impressions_dropped", "stand-in impressions lost because Kafka was away"
)
