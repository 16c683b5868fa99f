"""`python -m benchmarks.stream`: from Kafka to visible features, on a broker, a Valkey and workers of its own.

It starts them on the default ports in a temporary home: stop a running stack first (`watchnext down`).
"""

import argparse
import itertools
import logging
import random
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import numpy as np
import pandas as pd
from kafka import KafkaConsumer, TopicPartition

from benchmarks.report import report
from benchmarks.rounds import Verdict, interleave
from watchnext.clock import SystemClock
from watchnext.contracts.events import Event, WatchEvent, decode, encode
from watchnext.contracts.names import Topic, View
from watchnext.contracts.rows import FeatureRow
from watchnext.errors import WatchnextError
from watchnext.local import supervisor
from watchnext.settings import Settings, load_settings
from watchnext.store.apply import open_store
from watchnext.store.rows import FeatureStoreRows
from watchnext.store.schema import EVENT_TIMESTAMP
from watchnext.stream.client import reading
from watchnext.stream.folds import Position, fold_event
from watchnext.stream.lag import wait_until_caught_up
from watchnext.stream.materializer import late_ms
from watchnext.stream.producer import EventProducer
from watchnext.stream.topics import ensure_topics

SERVERS = ["kafka", "valkey", "worker-1", "worker-2"]
USERS = 2_000
BATCH, ALONE, DECODED = 20_000, 500, 40_000  # events a round
RATE, PROBE_EVERY_S, LOAD_S = 1_000, 0.15, 20.0

_draw = random.Random(7)
_numbers = itertools.count()


def a_watch(user: str) -> WatchEvent:
    number = next(_numbers)
    return WatchEvent(
        event_id=f"bench-{number}",
        user_id=user,
        video_id=f"v{_draw.randrange(5_000)}",
        started_at=SystemClock().now_ms() - 30_000,
        watch_seconds=20.0,
        video_seconds=60.0,
        completed=True,
    )


def messages(count: int) -> list[tuple[bytes, bytes]]:
    events = (a_watch(f"u{_draw.randrange(USERS)}") for _ in range(count))
    return [(event.key.encode(), encode(event)) for event in events]


def frame_of(row: FeatureRow) -> pd.DataFrame:
    """The one-line frame that Feast's `write_to_online_store` takes."""
    values = {name: [getattr(row, name)] for name in row.features()}
    instant = pd.to_datetime([row.event_timestamp], unit="us", utc=True)
    return pd.DataFrame({row.ENTITY.value: [row.entity_id], EVENT_TIMESTAMP: instant, **values})


class Bench:
    """Rates in events a second, one a call; each call takes its events from the same topic."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.rows = FeatureStoreRows.open(settings)
        self.rows.warm_up()
        self.feast = open_store(settings)
        self.producer = EventProducer(settings)

    def workers(self) -> float:
        """Send a batch and wait until the workers have committed all of it, counters included."""
        batch = messages(BATCH)
        began = time.perf_counter()
        for key, value in batch:
            self.producer.send_raw(Topic.WATCH, key, value)
        self.producer.flush()
        wait_until_caught_up(self.settings)
        return BATCH / (time.perf_counter() - began)

    def alone(self) -> float:
        """Read, fold and push each event by itself through Feast's stock write, to users of its own."""
        late, done = late_ms(self.settings), 0
        events = self.events()
        next(events)
        began = time.perf_counter()
        for position, event in itertools.islice(events, ALONE):
            mine = msgspec.structs.replace(event, user_id=f"alone-{event.key}", event_id=f"alone-{next(_numbers)}")
            before = self.rows.read_rows(View.USER_WATCHES, [mine.key]).get(mine.key)
            row = fold_event(before, mine, Position(position.partition, next(_numbers)), {}, late)
            if row is not None:
                self.feast.write_to_online_store(View.USER_WATCHES.value, frame_of(row))
                done += 1
        return done / (time.perf_counter() - began)

    def decoding(self) -> float:
        """Poll and decode, and nothing else."""
        events = self.events()
        next(events)
        began = time.perf_counter()
        done = sum(1 for _ in itertools.islice(events, DECODED))
        return done / (time.perf_counter() - began)

    def events(self) -> Iterator[tuple[Position, Event]]:
        """Watches of the topic from its beginning, by a consumer of no group."""
        consumer = KafkaConsumer(**reading(self.settings), group_id=None)
        consumer.assign([TopicPartition(Topic.WATCH.value, n) for n in range(self.settings.kafka.partitions)])
        consumer.seek_to_beginning()
        try:
            while polled := consumer.poll(timeout_ms=2_000, max_records=2_000):
                for partition, records in polled.items():
                    for record in records:
                        yield Position(partition.partition, record.offset), decode(Topic.WATCH, record.value)
        finally:
            consumer.close()

    def freshness(self) -> tuple[Verdict, int]:
        """Seconds from sending a watch until a read of the user shows it, at RATE events a second beside it."""
        stop, sent = threading.Event(), 0

        def load() -> None:
            nonlocal sent
            began = time.perf_counter()
            while not stop.is_set():
                for key, value in messages(int((time.perf_counter() - began) * RATE) - sent):
                    self.producer.send_raw(Topic.WATCH, key, value)
                    sent += 1
                time.sleep(0.01)

        thread = threading.Thread(target=load)
        thread.start()
        taken = []
        until = time.perf_counter() + LOAD_S
        try:
            for number in itertools.count():
                if time.perf_counter() > until:
                    break
                watch = a_watch(f"probe-{number}")
                began = time.perf_counter()
                self.producer.send(Topic.WATCH, watch)
                while watch.video_id not in self.rows.read_user(watch.user_id).get("seen_ids", []):
                    time.sleep(0.005)
                taken.append(time.perf_counter() - began)
                time.sleep(_draw.random() * 2 * PROBE_EVERY_S)
        finally:
            stop.set()
            thread.join()
        p50, p99 = np.percentile(taken, [50, 99]).tolist()
        raw = {"p50 s": round(p50, 3), "p99 s": round(p99, 3), "probes": len(taken), "events": sent}
        return Verdict("event to features, p99 s at 1,000 events/s", p99, "<= 5", raw), sent


def measure(settings: Settings, rounds: int) -> tuple[list[Verdict], dict[str, object]]:
    bench = Bench(settings)
    bench.workers()  # the first events bring imports and rebalances
    measured = interleave({"workers": bench.workers, "alone": bench.alone, "decoding": bench.decoding}, rounds=rounds)
    raw = {f"{name} events/s": round(measured.median(name)) for name in ("workers", "alone", "decoding")}
    verdict = Verdict("workers / one event at a time", measured.ratio("alone"), ">= 15", raw, measured.control)
    fresh, _ = bench.freshness()
    bench.producer.close()
    return [verdict, fresh], {"workers / decoding alone": round(measured.ratio("decoding"), 3)}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    logging.disable(logging.WARNING)
    try:
        with tempfile.TemporaryDirectory(prefix="watchnext-bench-") as home:
            settings = load_settings(home=Path(home))
            with supervisor.running(settings, SERVERS):
                ensure_topics(settings)
                verdicts, notes = measure(settings, options.rounds)
    except WatchnextError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return report(verdicts, notes, as_json=options.json)


if __name__ == "__main__":
    sys.exit(main())
