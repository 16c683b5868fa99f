"""A video's content part alone finds more of what users watch next than Popular does, in a simulated world."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from benchmarks.quality.event_log import records_of, write_records
from watchnext.contracts.names import Topic
from watchnext.data.simulator import Simulator
from watchnext.data.truth import WorldConfig
from watchnext.evaluation.baselines import Popular, top_rows
from watchnext.evaluation.retrieval import hits_of
from watchnext.features.batches import tower_batch, video_batch
from watchnext.models.layers import as_tensors
from watchnext.settings import Settings, Training
from watchnext.training.example_set import ExampleSet
from watchnext.training.examples import build_examples
from watchnext.training.snapshot import freeze
from watchnext.training.towers import load_towers, train_towers

WORLD = Simulator(WorldConfig(seed=1, users=400, videos=200), days=15)


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    home = tmp_path_factory.mktemp("cold")
    return Settings(home=home, profile="tiny", training=Training(threads=1, seed=1, tower_epochs=6))


@pytest.fixture(scope="module")
def examples(settings: Settings) -> ExampleSet:
    """Of all watches, and of the impressions at the top only: the towers learn from none, and they cost the most."""
    records = [
        (topic, event) for topic, event in records_of(WORLD) if topic is not Topic.IMPRESSION or event.position == 0
    ]
    write_records(settings, records)
    build_examples(settings, freeze(settings, settings.home / "snapshot"), settings.home / "examples")
    return ExampleSet.load(settings.home / "examples")


def test_all_videos_without_their_ids_beat_popular(settings, examples, tmp_path):
    content, popular = recalls(settings, examples, tmp_path, np.ones(len(examples.videos), bool), depth=20)
    assert content > 1.5 * popular, "2.0 to 3.3 times as much in the worlds of seeds 1 to 8"


def test_videos_that_training_never_saw_beat_their_own_popularity(settings, examples, tmp_path):
    """A third of the videos is nobody's next watch in training, without an id, yet Popular knows all their watches."""
    unseen = np.random.default_rng(1).random(len(examples.videos)) < 1 / 3
    embedding = np.where(unseen, 0, examples.videos.embedding).astype(np.int32)
    without = dataclasses.replace(
        examples, folder=tmp_path / "examples", videos=dataclasses.replace(examples.videos, embedding=embedding)
    )
    without.save()
    learnt = examples.towers.read()
    with without.towers.writer() as writer:
        writer.write(learnt.take(~unseen[learnt.row]))
    content, popular = recalls(settings, without, tmp_path, unseen, depth=10)
    assert content > 1.1 * popular, "1.3 to 2.5 times as much in the worlds of seeds 1 to 8"


def recalls(
    settings: Settings, examples: ExampleSet, folder: Path, wanted: NDArray[np.bool_], *, depth: int
) -> tuple[float, float]:
    """Recall among the `wanted` videos `[videos]` of towers trained on `examples`, by content alone, and of Popular."""
    train_towers(settings, examples.folder, folder / "towers")
    towers = load_towers(folder / "towers")
    targets = [set(rows[wanted[rows]].tolist()) for rows in examples.queries.targets]
    asked = [at for at, rows in enumerate(targets) if rows]
    hidden = [np.union1d(examples.queries.seen[at], np.flatnonzero(~wanted)) for at in asked]
    users = examples.queries.users.take(asked)
    batch = video_batch(examples.videos)
    cold = as_tensors({**batch, "embedding": np.zeros_like(batch["embedding"])})
    with torch.inference_mode():
        content = (towers.user(as_tensors(tower_batch(users, examples.videos))) @ towers.videos(cold).T).numpy()
    popular = Popular.fit(examples.watched.row, videos=len(examples.videos) - 1).scores(list(users.history))
    content_recall, popular_recall = (
        float(hits_of(top_rows(scores, hidden, depth), [targets[at] for at in asked]).recall(depth).mean())
        for scores in (content, popular)
    )
    return content_recall, popular_recall
