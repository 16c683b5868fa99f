"""`python -m benchmarks.stream`: from Kafka to visible features and changed answers, on a whole stack of its own.

It starts one on the default ports in a temporary home, with a small simulated world and a generation trained on it:
stop a running stack first (`watchnext down`).
"""

import argparse
import itertools
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import msgspec
import pandas as pd
from kafka import KafkaConsumer, TopicPartition
from rich.console import Console

from benchmarks.freshness import Freshness
from benchmarks.report import report
from benchmarks.rounds import Verdict, interleave
from benchmarks.watches import messages, numbers
from watchnext.cli.main import log_to_standard_error
from watchnext.cli.output import note
from watchnext.cli.pipeline import Pipeline, run_pipeline
from watchnext.cli.replay import send
from watchnext.clock import SystemClock
from watchnext.contracts.api import RecommendRequest
from watchnext.contracts.events import Event, decode
from watchnext.contracts.names import Topic, View
from watchnext.contracts.rows import FeatureRow, UserRow
from watchnext.data.simulator import Simulator
from watchnext.data.truth import WorldConfig
from watchnext.errors import WatchnextError
from watchnext.generation.store import GenerationStore
from watchnext.local import supervisor
from watchnext.local.environment import server_environment
from watchnext.recommend.client import ask_graph
from watchnext.settings import Settings, load_settings
from watchnext.store.apply import open_store
from watchnext.store.rows import FeatureStoreRows
from watchnext.store.schema import EVENT_TIMESTAMP
from watchnext.stream.client import reading
from watchnext.stream.folds import Position, fold_event
from watchnext.stream.lag import wait_until_caught_up
from watchnext.stream.materializer import late_ms
from watchnext.stream.producer import EventProducer

WORLD = Simulator(WorldConfig(users=300, videos=500, uploads_per_day=5), days=4)
USERS_OF_WORLD = [profile.user_id for profile in WORLD.profiles()]
BATCH, ALONE, DECODED = 20_000, 500, 40_000  # events a round


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
            mine = msgspec.structs.replace(event, user_id=f"alone-{event.key}", event_id=f"alone-{next(numbers)}")
            before = cast("UserRow | None", self.rows.read_row(View.USER_WATCHES, mine.key))
            row = fold_event(before, mine, Position(position.partition, next(numbers)), {}, late)
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


def learn(settings: Settings) -> None:
    """A small world's events, and a generation trained on them: without one no answer can change."""
    note("a small world: events, training, publishing")
    send(settings, WORLD, SystemClock(), quiet=True)
    wait_until_caught_up(settings)
    os.environ.update(server_environment(settings))
    run_pipeline(Pipeline.TRAIN, settings, Console(quiet=True))
    live, until = GenerationStore.open(settings).live(), time.monotonic() + 60
    while ask_graph(settings, RecommendRequest(user_id=USERS_OF_WORLD[0])).generation != live.generation:
        if time.monotonic() > until:
            raise WatchnextError(f"the router does not answer with generation {live.generation} after a minute")
        time.sleep(0.5)


def measure(settings: Settings, rounds: int) -> tuple[list[Verdict], dict[str, object]]:
    bench = Bench(settings)
    bench.workers()  # the first events bring imports and rebalances
    measured = interleave(
        {"workers": bench.workers, "alone": bench.alone, "decoding": bench.decoding}, rounds=rounds, title="events"
    )
    raw = {f"{name} events/s": round(measured.median(name)) for name in ("workers", "alone", "decoding")}
    verdict = Verdict("workers / one event at a time", measured.ratio("alone"), ">= 15", raw, measured.control)
    fresh = Freshness(settings, bench.producer, USERS_OF_WORLD).measure()
    bench.producer.close()
    return [verdict, fresh], {"workers / decoding alone": round(measured.ratio("decoding"), 3)}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    log_to_standard_error()
    try:
        with tempfile.TemporaryDirectory(prefix="watchnext-bench-") as home:
            settings = load_settings(
                home=Path(home), profile="tiny", training={"gate_recall_factor": 0.1, "gate_min_auc": 0.51}
            )
            with supervisor.running(settings, progress=lambda name, event: note(f"{name}: {event}")):
                learn(settings)
                verdicts, notes = measure(settings, options.rounds)
    except WatchnextError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    return report(verdicts, notes, as_json=options.json)


if __name__ == "__main__":
    sys.exit(main())
