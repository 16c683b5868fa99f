"""Every metric of every process, once. Dashboards and rules name no other (`tests/chart/test_observability.py`).

They live in prometheus_client's default registry, which the gateway, `ops.http` and KServe's servers all show on their
`/metrics`. A process that never touches a metric shows it as 0, or not at all where it has labels. Times of the clock
are epoch seconds; 0 means never.
"""

from typing import Final

from prometheus_client import Counter, Gauge, Histogram

_SECONDS: Final = (0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.25, 0.5, 1.0, 2.5)
_STAGE_SECONDS: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.2, 0.5)
_LONG_SECONDS: Final = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0)
_CANDIDATES: Final = (0, 10, 50, 100, 200, 300, 400, 500, 750, 1_000, 2_000)

# The gateway
ANSWERS: Final = Counter("watchnext_answers", "answers of the gateway", ["protocol", "code"])
ANSWER_SECONDS: Final = Histogram("watchnext_answer_seconds", "time to an answer", ["protocol"], buckets=_SECONDS)
DEGRADED: Final = Counter("watchnext_degraded", "answers that had to do without a part", ["part"])
IN_FLIGHT: Final = Gauge("watchnext_in_flight", "requests in flight")
SHED: Final = Counter("watchnext_shed", "requests refused because too many were in flight")
SERVED_WRITTEN: Final = Counter("watchnext_served_written", "served lists that Kafka acknowledged")
SERVED_DROPPED: Final = Counter("watchnext_served_dropped", "served lists lost because Kafka was away")
IMPRESSIONS_DROPPED: Final = Counter(
    "watchnext_impressions_dropped", "stand-in impressions lost because Kafka was away"
)

# Who waits for a backend: the gateway for the graph, retrieval for its stores, the guard for the ranker
BREAKER_OPEN: Final = Gauge("watchnext_breaker_open", "1 while a backend that failed is not asked", ["backend"])

# Retrieval
STAGE_SECONDS: Final = Histogram(
    "watchnext_retrieval_stage_seconds",
    "what a stage adds to an answer: features, tower, sources (while Milvus searches), index (the rest of its search)",
    ["stage"],
    buckets=_STAGE_SECONDS,
)
CANDIDATES: Final = Histogram("watchnext_retrieval_candidates", "candidates of an envelope", buckets=_CANDIDATES)
LOST: Final = Counter("watchnext_retrieval_lost", "envelopes made without a part or source", ["part"])

# The ranking guard
RANKER_SECONDS: Final = Histogram(
    "watchnext_ranker_seconds", "time of a call of TorchServe, whatever came of it", buckets=_SECONDS
)
FALLBACKS: Final = Counter(
    "watchnext_ranking_fallbacks",
    "lists in retrieval order; cause: deadline (no time was left to ask), late, breaker, failed, generation, answer",
    ["cause"],
)

# Whoever follows the generation pointer: retrieval, and the follower beside TorchServe
GENERATION_INFO: Final = Gauge("watchnext_generation_info", "1 for what this process serves", ["generation", "overlay"])
GENERATION_LOAD_SECONDS: Final = Histogram(
    "watchnext_generation_load_seconds", "time to load a generation", buckets=_LONG_SECONDS
)
GENERATION_REFUSALS: Final = Counter("watchnext_generation_refusals", "failed loads of what is live or staged")
POINTER_READ: Final = Gauge(
    "watchnext_generation_pointer_read_timestamp_seconds", "when this process last read the pointer, or began to try"
)

# The stream
EVENTS: Final = Counter(
    "watchnext_stream_events",
    "events of a topic; outcome: folded, or for the archive only because late or repeated",
    ["topic", "outcome"],
)
DEAD_LETTERS: Final = Counter(
    "watchnext_stream_dead_letters", "messages that are no event; reason: unreadable, key, future", ["topic", "reason"]
)
BATCH_SECONDS: Final = Histogram(
    "watchnext_stream_batch_seconds", "time to fold and write what one poll gave", buckets=_LONG_SECONDS
)
BATCHES_ABANDONED: Final = Counter(
    "watchnext_stream_batches_abandoned",
    "batches given up, to be begun again; cause: store, broker",
    ["cause"],
)
ROWS_WRITTEN: Final = Counter("watchnext_stream_rows_written", "rows written to the online store", ["view"])
PARTITIONS: Final = Gauge("watchnext_stream_partitions", "partitions that this worker has")
LAG: Final = Gauge(
    "watchnext_stream_lag_messages", "messages in this worker's partitions that are not yet features", ["topic"]
)
COMMITTED: Final = Gauge("watchnext_stream_commit_timestamp_seconds", "when this worker last committed offsets")
