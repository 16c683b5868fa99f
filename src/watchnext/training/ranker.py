"""Stage 4: the ranker. Weighted logistic regression on labelled impressions, and a long-view head (paper, section 4).

The quantiles are fitted on the training part first; the ranker reads nothing that is not through them.

    <folder>/weights.safetensors  quantiles.safetensors  config.json  curve.json
"""

import json
from pathlib import Path
from typing import Any, Final

import numpy as np
import safetensors.numpy
import structlog
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file
from torch.nn import functional

from watchnext.errors import DataError
from watchnext.features.batches import UserColumns, ranker_batch
from watchnext.features.quantiles import QuantileNormalizer
from watchnext.features.spec import RANKER_FEATURES
from watchnext.models.config import RankerConfig, profile_config
from watchnext.models.layers import as_tensors
from watchnext.models.losses import weighted_logistic
from watchnext.models.ranker import Ranker
from watchnext.settings import Settings
from watchnext.training.device import device_of, seeded
from watchnext.training.example_set import ExampleSet, RankerExamples
from watchnext.training.vocabularies import sizes_of

LOGGED_STEPS: Final = 20
ENCODED: Final = 10_000  # users encoded at a time
SCORED: Final = 8_192  # impressions a forward pass when measuring

_log = structlog.get_logger(__name__)


def train_ranker(settings: Settings, examples: Path, folder: Path) -> dict[str, float]:
    """Fit quantiles and ranker on the impressions before the split, and write them to `folder`.

    Returns:
        Last logged loss, steps, impressions.

    Raises:
        DataError: no impression of the training part was clicked, or all were watched for long.
    """
    data = ExampleSet.load(examples)
    config = profile_config(settings.profile, settings.training.model_dump())
    generator = seeded(settings)
    device = device_of(settings)
    past = data.ranker.part(data.ranker.at_ms < data.meta.split_ms)
    mean_seconds, long_views = float(past.seconds.mean()), float(past.completed.mean())
    if mean_seconds <= 0 or not 0 < long_views < 1:
        raise DataError(
            f"{len(past.row)} impressions to train on have {mean_seconds} watched seconds on average and a share of "
            f"{long_views} long views; wanted some of each: do watches carry the request_id of their impression?"
        )
    quantiles = QuantileNormalizer.fit(past.features, config.quantile_bins)
    ranker = Ranker(config.ranker_config(sizes_of(data.vocabularies, data.videos), len(RANKER_FEATURES))).to(device)
    ranker.start_at(mean_seconds, long_views)
    inputs = RankerInputs(data, quantiles)
    scale = 1 + mean_seconds  # total weight of an average impression: brings both heads' losses to one size
    optimiser = torch.optim.Adam(ranker.parameters(), lr=config.learning_rate)

    curve: list[tuple[int, float]] = []
    losses: list[float] = []
    ranker.train()
    for epoch in range(config.epochs):
        order = generator.permutation(len(past.row))
        for start in range(0, len(order), config.batch):
            batch = past.part(order[start : start + config.batch])
            logit, long_view = ranker(as_tensors(inputs.batch(batch), device))
            clicked, seconds = torch.from_numpy(batch.clicked).to(device), torch.from_numpy(batch.seconds).to(device)
            completed = torch.from_numpy(batch.completed.astype(np.float32)).to(device)
            watch_time = weighted_logistic(logit, clicked, seconds, config.ranking_weight)
            loss = watch_time / scale + functional.binary_cross_entropy_with_logits(long_view, completed)
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            losses.append(loss.item())
            if len(losses) % LOGGED_STEPS == 0:
                curve.append((len(losses), float(np.mean(losses[-LOGGED_STEPS:]))))
        _log.info("ranker_epoch", epoch=epoch + 1, of=config.epochs, loss=round(float(np.mean(losses[-100:])), 4))
    save_ranker(ranker.cpu(), quantiles, curve, folder)
    return {"loss": float(np.mean(losses[-LOGGED_STEPS:])), "steps": len(losses), "impressions": len(past.row)}


class RankerInputs:
    """The ranker's batches, as the handler makes them of candidates; the users' side is made once."""

    def __init__(self, data: ExampleSet, quantiles: QuantileNormalizer) -> None:
        self._videos = data.videos
        self._quantiles = quantiles
        nothing = np.zeros(0, np.int32)
        parts = [
            ranker_batch(
                UserColumns.of(data.users.take(np.arange(start, min(start + ENCODED, len(data.users))))),
                data.videos,
                data.videos.take(nothing),
                np.zeros((0, 0), np.float32),
            )
            for start in range(0, len(data.users), ENCODED)
        ]
        names = [name for name, array in parts[0].items() if len(array)]
        self._users = {name: np.concatenate([part[name] for part in parts]) for name in names}

    def batch(self, impressions: RankerExamples) -> dict[str, NDArray[Any]]:
        """The batch of some impressions."""
        users, user_of = np.unique(impressions.user, return_inverse=True)
        candidates = ranker_batch(
            UserColumns.of([]),
            self._videos,
            self._videos.take(impressions.row),
            self._quantiles.expand(impressions.features),
            user_of,
        )
        return {**candidates, **{name: array[users] for name, array in self._users.items()}}


def expected_seconds(ranker: Ranker, inputs: RankerInputs, impressions: RankerExamples) -> NDArray[np.float32]:
    """e^logit of each impression."""
    parts = [np.zeros(0, np.float32)]
    with torch.inference_mode():
        for start in range(0, len(impressions.row), SCORED):
            part = impressions.part(np.arange(start, min(start + SCORED, len(impressions.row))))
            parts.append(ranker.expected_seconds(as_tensors(inputs.batch(part))).numpy())
    return np.concatenate(parts)


def save_ranker(ranker: Ranker, quantiles: QuantileNormalizer, curve: list[tuple[int, float]], folder: Path) -> None:
    """Write weights, quantiles, config, and the loss by step."""
    folder.mkdir(parents=True, exist_ok=True)
    save_file(ranker.state_dict(), folder / "weights.safetensors")
    safetensors.numpy.save_file(quantiles.arrays(), folder / "quantiles.safetensors")
    (folder / "config.json").write_text(json.dumps(ranker.config.to_json()))
    (folder / "curve.json").write_text(json.dumps(curve))


def load_ranker(folder: Path) -> tuple[Ranker, QuantileNormalizer]:
    """What `save_ranker` wrote, ready to use."""
    config: dict[str, Any] = json.loads((folder / "config.json").read_text())
    ranker = Ranker(RankerConfig.from_json(config))
    ranker.load_state_dict(load_file(folder / "weights.safetensors"))
    quantiles = QuantileNormalizer.from_arrays(safetensors.numpy.load_file(folder / "quantiles.safetensors"))
    return ranker.eval(), quantiles
