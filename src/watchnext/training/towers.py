"""Stage 3: the two towers. Sampled softmax over next watches, with the log q correction (paper, section 3).

Negatives are drawn with replacement from q ∝ (training watches + 1)^0.75: often watched videos more often, every video
sometimes, so that vectors of cold ones are trained too.

    <folder>/weights.safetensors  config.json  curve.json
"""

import json
from pathlib import Path
from typing import Any, Final

import numpy as np
import structlog
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file

from watchnext.features.batches import UserColumns, tower_batch, video_batch
from watchnext.models.config import TowerConfig, profile_config
from watchnext.models.layers import as_tensors
from watchnext.models.losses import sampled_softmax
from watchnext.models.towers import TwoTower
from watchnext.settings import Settings
from watchnext.training.device import device_of, seeded
from watchnext.training.example_set import ExampleSet
from watchnext.training.vocabularies import sizes_of

SMOOTHING: Final = 0.75
LOGGED_STEPS: Final = 20

_log = structlog.get_logger(__name__)


def train_towers(settings: Settings, examples: Path, folder: Path) -> dict[str, float]:
    """Fit the towers on the tower examples, and write them to `folder`.

    Returns:
        Last logged loss, steps, examples.
    """
    data = ExampleSet.load(examples)
    config = profile_config(settings.profile, settings.training.model_dump())
    generator = seeded(settings)
    device = device_of(settings)
    tower = TwoTower(config.tower_config(sizes_of(data.vocabularies, data.videos))).to(device)
    optimiser = torch.optim.Adam(tower.parameters(), lr=config.learning_rate)
    draw = negative_probabilities(data.towers.row, len(data.videos))

    curve: list[tuple[int, float]] = []
    losses: list[float] = []
    tower.train()
    for epoch in range(config.tower_epochs):
        before = len(losses)
        order = generator.permutation(len(data.towers.row))
        for start in range(0, len(order), config.batch):
            batch = data.towers.part(order[start : start + config.batch])
            negatives = generator.choice(len(draw), size=config.negatives, p=draw).astype(np.int32)
            columns = UserColumns.of(data.users.take(batch.user))
            users = as_tensors(tower_batch(columns, data.videos, batch.age_days), device)
            rows = np.concatenate([batch.row, negatives])
            vectors = tower.videos(as_tensors(video_batch(data.videos.take(rows)), device))  # (B + S, dim)
            loss = sampled_softmax(
                tower.user(users),
                vectors[: len(batch.row)],
                torch.from_numpy(batch.row).to(device),
                vectors[len(batch.row) :],
                torch.from_numpy(negatives).to(device),
                torch.from_numpy(np.log(draw[negatives]).astype(np.float32)).to(device),
            )
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            losses.append(loss.item())
            if len(losses) % LOGGED_STEPS == 0:
                curve.append((len(losses), float(np.mean(losses[-LOGGED_STEPS:]))))
        _log.info(
            "towers_epoch", epoch=epoch + 1, of=config.tower_epochs, loss=round(float(np.mean(losses[before:])), 4)
        )
    save_towers(tower.cpu(), curve, folder)
    return {"loss": float(np.mean(losses[-LOGGED_STEPS:])), "steps": len(losses), "examples": len(data.towers.row)}


def negative_probabilities(rows: NDArray[np.int32], videos: int) -> NDArray[np.float64]:
    """The probability with which one draw gives each row, `[videos]`; row 0, the unknown video, is never drawn."""
    weights = np.power(np.bincount(rows, minlength=videos) + 1.0, SMOOTHING, dtype=np.float64)
    weights[0] = 0
    return np.asarray(weights / weights.sum())


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
