"""Stage 3: the two towers. Sampled softmax over next watches, with the log q correction (paper, section 3).

<folder>/weights.safetensors  config.json  curve.json  tensorboard/
"""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from watchnext.features.batches import Batch, known_rows, tower_batch, video_batch
from watchnext.features.videos import VideoTable
from watchnext.models.config import ProfileConfig, TowerConfig, profile_config
from watchnext.models.layers import Amend
from watchnext.models.losses import sampled_softmax
from watchnext.models.towers import TwoTower
from watchnext.settings import Settings
from watchnext.training.checkpoint import Checkpoints
from watchnext.training.distributed import ALONE, Share
from watchnext.training.example_set import ExampleSet, TowerExamples
from watchnext.training.loader import Streamed
from watchnext.training.loop import Batches, Plan, fit, seed_torch
from watchnext.training.negatives import Negatives
from watchnext.training.optimiser import Optimiser
from watchnext.training.sizes import sizes_of
from watchnext.training.warm_start import start_of_ids


def train_towers(
    settings: Settings,
    examples: Path,
    folder: Path,
    share: Share = ALONE,
    *,
    config: ProfileConfig | None = None,
    amend: Amend = dict,
) -> dict[str, float]:
    """Fit the towers on the tower examples, and write them to `folder`; goes on from a checkpoint of the same.

    Args:
        settings: their `training`, `profile` and `home`.
        examples: folder of an `ExampleSet`.
        folder: where the result goes.
        share: which process this is, of those that fit the towers together.
        config: in the place of what the settings say.
        amend: what is done to each batch before the loss.

    Returns:
        Last logged loss, steps, examples.
    """
    data = ExampleSet.load(examples)
    seed = settings.training.seed
    config = config or profile_config(settings.profile, settings.training.model_dump())
    plan = Plan.of(settings, "towers", config.tower_epochs, folder, share)
    seed_torch(seed)
    tower = TwoTower(config.tower_config(sizes_of(data.vocabularies, data.videos), data.meta.split_ms))
    tower.warm_start(start_of_ids(data.met, data.videos.embedding, config.embedding_dim))
    tower.to(plan.device)
    positives = Streamed(data.towers, config.batch, seed, lambda examples: tower_inputs(examples, data.videos), share)
    watches = data.towers.counts("row", size=len(data.videos))
    negatives = Negatives(watches, draws=config.negatives, seed=seed)
    batches = WithNegatives(positives, negatives, data.videos)
    optimiser = Optimiser(tower, config.tower_learning_rate, config.tower_id_rate)
    checkpoints = Checkpoints(settings, "towers", tower, optimiser, [config.to_json(), asdict(data.meta)], share=share)
    course = fit(plan, tower, lambda batch: tower_loss(tower, amend(batch)), batches, optimiser, checkpoints)
    if share.first:
        save_towers(tower.cpu(), course.curve, folder)
    checkpoints.remove()
    return {"loss": course.loss, "steps": course.step, "examples": len(data.towers)}


def tower_inputs(examples: TowerExamples, videos: VideoTable) -> Batch:
    """The user tower's batch of some examples, with the watched `row` of each and the rows that are no negatives."""
    users = examples.users
    return {**tower_batch(users, videos, examples.age_days), "row": examples.row, "known": known_rows(users)}


@dataclass(frozen=True)
class WithNegatives:
    """Batches of users and their next watch `row` `[batch]`, with a step's negatives and the inputs of all videos.

    Adds `negative` and `log_q` `[samples]`, and a `video_batch` of the watched videos and then the negatives. Every
    process of a training draws the same negatives, so that their losses average to that of the whole batch.
    """

    positives: Batches
    negatives: Negatives
    videos: VideoTable

    @property
    def steps(self) -> int:
        """As many as there are with positives."""
        return self.positives.steps

    def epoch(self, number: int, skip: int = 0) -> Iterator[Batch]:
        """The batches of an epoch."""
        for step, batch in enumerate(self.positives.epoch(number, skip), start=skip):
            negative, log_q = self.negatives.draw(number, step)
            rows = np.concatenate([batch["row"], negative])
            yield {**batch, **video_batch(self.videos.take(rows)), "negative": negative, "log_q": log_q}


def tower_loss(tower: TwoTower, batch: dict[str, Tensor]) -> tuple[Tensor, int]:
    """The sampled softmax of a batch of `WithNegatives`, and its examples."""
    examples = len(batch["row"])
    vectors = tower.videos(batch).float()  # (B + S, width)
    users = tower.user(batch).float()
    with torch.autocast(users.device.type, enabled=False):  # it would round the negatives' logits, not the positives'
        loss = sampled_softmax(
            users,
            vectors[:examples],
            batch["row"],
            vectors[examples:],
            batch["negative"],
            batch["log_q"],
            batch["known"],
        )
    return loss, examples


def save_towers(tower: TwoTower, curve: list[tuple[int, float]], folder: Path) -> None:
    """Write weights, config, and the loss by step."""
    folder.mkdir(parents=True, exist_ok=True)
    save_file(tower.state_dict(), folder / "weights.safetensors")
    (folder / "config.json").write_text(json.dumps(tower.config.to_json()))
    (folder / "curve.json").write_text(json.dumps(curve))


def load_towers(folder: Path) -> TwoTower:
    """What `save_towers` wrote, ready to use."""
    config: dict[str, Any] = json.loads((folder / "config.json").read_text())
    tower = TwoTower(TowerConfig.from_json(config))
    tower.load_state_dict(load_file(folder / "weights.safetensors"))
    return tower.eval()
