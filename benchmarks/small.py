"""`watchnext bench small`: does learning still work? A small simulated world, one seed, one thread, a minute or two.

Two rows of the ablation card whose outcome is sure (log q, weights by watch time), bounds that a broken loss falls
below and a leak rises above, and what our training costs beside a plain loop over the same batches. The bars are wide
(docs/ablation.md). An unsteady control of the costs is tried three times, and then is no failure.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import torch

from benchmarks.quality.event_log import records_of, write_records
from benchmarks.report import report
from benchmarks.rounds import Measured, Verdict, interleave
from watchnext.cli.main import log_to_standard_error
from watchnext.cli.output import note
from watchnext.data.simulator import Simulator
from watchnext.data.truth import WorldConfig
from watchnext.evaluation.baselines import Popular, top_rows
from watchnext.evaluation.retrieval import retrieval_metrics
from watchnext.models.config import profile_config
from watchnext.models.layers import as_tensors
from watchnext.models.towers import TwoTower
from watchnext.settings import Settings, Training
from watchnext.training.ablation.trial import Trial, run_trial
from watchnext.training.ablation.variations import VARIATIONS
from watchnext.training.example_set import ExampleSet
from watchnext.training.examples import build_examples
from watchnext.training.loader import Streamed
from watchnext.training.loop import seed_torch
from watchnext.training.negatives import Negatives
from watchnext.training.sizes import sizes_of
from watchnext.training.snapshot import freeze
from watchnext.training.towers import WithNegatives, tower_inputs, tower_loss, train_towers

USERS, VIDEOS, DAYS = 150, 200, 12
ROUNDS, TRIES = 3, 3
SLOWEST: Final = 5  # times the plain loop


@dataclass(frozen=True)
class World:
    """Examples to learn from, and how."""

    settings: Settings
    examples: Path

    @classmethod
    def made(cls, home: Path, seed: int) -> "World":
        """The log of the simulated world as the stream leaves it, and its examples."""
        training = Training(threads=1, seed=seed, tower_epochs=12, checkpoint_minutes=0)
        settings = Settings(home=home, profile="tiny", training=training)
        past = Simulator(WorldConfig(seed=seed, users=USERS, videos=VIDEOS), days=DAYS)
        write_records(settings, records_of(past))
        build_examples(settings, freeze(settings, home / "snapshot"), home / "examples")
        return cls(settings, home / "examples")

    def trial(self, name: str) -> Trial:
        """A row of the ablation card."""
        note(f"training: {name}")
        return run_trial(self.settings, VARIATIONS[name], self.settings.training.seed, self.examples)


def learning(world: World) -> list[Verdict]:
    """What must come out of the losses."""
    base, plain_draws, ranker, clicks = (
        world.trial(name).figures for name in ("towers", "no-log-q", "ranker", "plain-logistic")
    )
    popular = _recall_of_popular(ExampleSet.load(world.examples))
    recall, loss = base["recall@50"], ranker["weighted_per_user_loss"]
    return [
        Verdict("recall@50, towers / Popular", recall / popular, ">= 1.3", {"towers": round(recall, 4)}),
        Verdict("recall@50 of the towers, a leak's bound", recall, "<= 0.9"),
        Verdict(
            "watches of what is listed, with / without log q",
            base["watches@50"] / plain_draws["watches@50"],
            ">= 1.05",
            {"with": round(base["watches@50"], 2), "without": round(plain_draws["watches@50"], 2)},
        ),
        Verdict(
            "weighted per-user loss, plain − weighted regression",
            clicks["weighted_per_user_loss"] - loss,
            ">= 0",
            {"weighted": round(loss, 4)},
        ),
        Verdict("AUC of the ranker", ranker["auc"], ">= 0.6"),
        Verdict("AUC of the ranker, a leak's bound", ranker["auc"], "<= 0.85"),
    ]


def cost(world: World) -> Verdict:
    """Processor seconds of our training over those of a plain loop."""
    for _ in range(TRIES):
        with tempfile.TemporaryDirectory() as scratch:
            runs = {
                "ours": _timed(lambda: train_towers(world.settings, world.examples, Path(scratch))),
                "plain loop": _timed(plain_loop(world)),
            }
            measured: Measured = interleave(runs, rounds=ROUNDS, title="processor seconds of a training")
        if not measured.void:
            break
    raw = {name: round(measured.median(name), 2) for name in ("ours", "plain loop")}
    value = measured.ratio("plain loop")
    return Verdict("training / plain loop, processor s", value, f"<= {SLOWEST}", raw, measured.control)


def plain_loop(world: World) -> Callable[[], None]:
    """The steps of our towers over the same batches, which lie in memory, as one would first write them."""
    data, training = ExampleSet.load(world.examples), world.settings.training
    config = profile_config(world.settings.profile, training.model_dump())
    streamed = Streamed(data.towers, config.batch, training.seed, lambda lines: tower_inputs(lines, data.videos))
    negatives = Negatives(data.towers.counts("row", size=len(data.videos)), draws=config.negatives, seed=training.seed)
    batches = WithNegatives(streamed, negatives, data.videos)
    epochs = [[as_tensors(batch) for batch in batches.epoch(number)] for number in range(config.tower_epochs)]

    def run() -> None:
        seed_torch(training.seed)
        tower = TwoTower(config.tower_config(sizes_of(data.vocabularies, data.videos), data.meta.split_ms))
        optimiser = torch.optim.Adam(tower.parameters(), lr=config.tower_learning_rate)
        for batch in (batch for epoch in epochs for batch in epoch):
            optimiser.zero_grad()
            loss, _ = tower_loss(tower, batch)
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()

    return run


def _timed(run: Callable[[], object]) -> Callable[[], float]:
    def timed() -> float:
        began = time.process_time()
        run()
        return time.process_time() - began

    return timed


def _recall_of_popular(data: ExampleSet) -> float:
    popular = Popular.fit(data.watched.row, videos=len(data.videos) - 1)
    ranked = top_rows(popular.scores(data.queries.seen), data.queries.seen, 50)
    return retrieval_metrics(ranked, data.queries.targets, [50])["recall@50"]


def run(seed: int) -> list[Verdict]:
    """All lines of the table."""
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as home:
        note("a world is simulated")
        world = World.made(Path(home), seed)
        return [*learning(world), cost(world)]


def main() -> int:
    parser = argparse.ArgumentParser(prog="watchnext bench small")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    log_to_standard_error()
    verdicts = run(asked.seed)
    report(verdicts, {"seed": asked.seed, "threads": 1}, as_json=asked.json)
    return int(failed(verdicts))


def failed(verdicts: Sequence[Verdict]) -> bool:
    """Whether a bar is missed; what an unsteady control left open is none."""
    return any(verdict.outcome == "missed" for verdict in verdicts)


if __name__ == "__main__":
    sys.exit(main())
