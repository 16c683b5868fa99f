"""A small world that has trained, without a server: its log, what training made of it, and its generation.

Counters are refreshed daily here, so that the last day's impressions and the generation's table have the same ones. The
world's lists are logged as served by us, hence with candidate scores, seeds and earlier servings.
"""

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.quality.event_log import records_of, write_records
from watchnext.contracts.events import ImpressionEvent, ServedEvent, ServedItem
from watchnext.contracts.names import Topic
from watchnext.data.records import Record
from watchnext.data.simulator import Simulator
from watchnext.data.truth import WorldConfig
from watchnext.evaluation.result import Evaluation
from watchnext.features.state import UserState
from watchnext.generation.bundle import Bundle
from watchnext.generation.interval import refresh_interval_floor
from watchnext.generation.store import GenerationStore
from watchnext.settings import Generations, Settings, Training
from watchnext.store.apply import apply
from watchnext.stream.folds import Position, VideoFacts
from watchnext.stream.materializer import fold, late_ms
from watchnext.training.build import build
from watchnext.training.example_set import ExampleSet
from watchnext.training.examples import MOMENT, build_examples
from watchnext.training.ranker import expected_seconds, load_ranker, train_ranker
from watchnext.training.snapshot import freeze
from watchnext.training.split import SplitLog, split_log
from watchnext.training.towers import train_towers

SIMULATOR = Simulator(WorldConfig(users=12, videos=40, uploads_per_day=2, sessions_per_day=3), days=4)
ANSWERED_MS = 200  # from a list's answer to its showing


@dataclass(frozen=True)
class Trained:
    """What the tests compare. `shown`, `features` and `expected` speak of the same impressions, in one order."""

    settings: Settings
    bundle: Bundle
    shown: pd.DataFrame  # the last day's impressions, labelled
    features: np.ndarray  # training's
    expected: np.ndarray  # seconds, by training's own scoring


def trained(home: Path) -> Trained:
    """Train on the world's log, and build the generation."""
    settings = Settings(
        home=home,
        profile="tiny",
        generations=Generations(refresh_minutes=24 * 60),
        training=Training(threads=1, epochs=1, tower_epochs=1),
    )
    write_records(settings, records())
    apply(settings)
    snapshot = freeze(settings, home / "snapshot")
    examples, towers, ranker = home / "examples", home / "towers", home / "ranker"
    build_examples(settings, snapshot, examples)
    train_towers(settings, examples, towers)
    train_ranker(settings, examples, ranker)
    nothing = Evaluation(snapshot.id, split_ms=0, end_ms=0, counts={}, retrieval={}, ranking={}, curves={})
    nothing.save(home / "evaluation")
    generation = build(
        settings, examples=examples, towers=towers, ranker=ranker, evaluation=home / "evaluation", card=""
    )
    bundle = GenerationStore.open(settings).load(generation)
    data = ExampleSet.load(examples)
    shown = in_order_of_examples(split_log(settings, snapshot, per_user=1))
    refreshed = shown["as_of_ms"].map(lambda as_of_ms: refresh_interval_floor(as_of_ms, settings))
    last_day = np.flatnonzero(refreshed == bundle.videos.counters_at_ms)
    fitted, quantiles = load_ranker(ranker)
    files = (data.ranker, data.held_out)
    expected = np.concatenate([expected_seconds(fitted, quantiles, data.videos, file) for file in files])
    return Trained(
        settings=settings,
        bundle=bundle,
        shown=shown.iloc[last_day].reset_index(drop=True),
        features=np.concatenate([file.read().features for file in files])[last_day],
        expected=expected[last_day],
    )


def in_order_of_examples(events: SplitLog) -> pd.DataFrame:
    """The impressions as the files of examples have them: the training part first, and a moment after the other."""
    moment = events.shown.groupby(MOMENT, sort=False).ngroup()
    return events.shown.iloc[np.lexsort((moment, events.shown["now_ms"] >= events.split_ms))].reset_index(drop=True)


@cache
def records() -> tuple[Record, ...]:
    """The world's records, each list before its first impression as an answer of ours, every second one beside a video.

    The numbers stand for what retrieval would have said.
    """
    past = records_of(SIMULATOR)
    lists: dict[str, list[ImpressionEvent]] = {}
    for topic, event in past:
        if topic is Topic.IMPRESSION:
            lists.setdefault(event.request_id, []).append(event)
    number = {request_id: at for at, request_id in enumerate(lists)}
    told: list[Record] = []
    for topic, event in past:
        if topic is Topic.IMPRESSION and event.position == 0:
            told.append((Topic.SERVED, served(lists[event.request_id], beside=number[event.request_id] % 2 == 0)))
        told.append((topic, event))
    return tuple(told)


def served(shown: list[ImpressionEvent], *, beside: bool) -> ServedEvent:
    """The list that was shown, as the gateway would have logged it."""
    first = shown[0]
    return ServedEvent(
        user_id=first.user_id,
        request_id=first.request_id,
        served_at=first.shown_at - ANSWERED_MS,
        surface=first.surface,
        device="tv",
        seed_video_id=shown[-1].video_id if beside else None,
        items=[
            ServedItem(
                video_id=one.video_id,
                position=one.position,
                sources=["tower", "fresh"] if one.position % 2 else ["trending"],
                scores=[1 / (1 + one.position)],
            )
            for one in shown
        ],
    )


def online_row(user_id: str, until_ms: int, settings: Settings) -> dict[str, Any]:
    """What the online store holds of a user once the stream has folded all that was available until `until_ms`."""
    facts: dict[str, VideoFacts] = {}
    rows: dict[Topic, Any] = {}
    for offset, (topic, event) in enumerate(records()):
        if topic is Topic.CATALOG:
            facts[event.video_id] = VideoFacts(event.channel_id, tuple(event.topics))
        elif event.user_id == user_id and event.at_ms <= until_ms:
            row = fold(rows.get(topic), event, Position(0, offset), facts, late_ms(settings))
            rows[topic] = row or rows.get(topic)
    return {name: getattr(row, name) for row in rows.values() for name in row.features() if name in UserState.names()}
