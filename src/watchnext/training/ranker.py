"""Stage 4: the ranker. Weighted logistic regression on labelled impressions, and a long-view head (paper, section 4).

The quantiles are fitted on the training part first; the ranker reads nothing that is not through them. Its video ids
start at who met what, and move the faster the more impressions show them (docs/adr/0037, 0039). What is kept is the
mean of the last steps' weights.

    <folder>/weights.safetensors  quantiles.safetensors  config.json  curve.json  tensorboard/
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import safetensors.numpy
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.nn import functional

from watchnext.errors import DataError
from watchnext.features.batches import Batch, ranker_batch
from watchnext.features.quantiles import QuantileNormalizer
from watchnext.features.spec import RANKER_FEATURES
from watchnext.features.videos import VideoTable
from watchnext.models.config import ProfileConfig, RankerConfig, Sizes, Weighting, profile_config
from watchnext.models.layers import Amend, as_tensors
from watchnext.models.losses import weighted_logistic
from watchnext.models.ranker import Ranker
from watchnext.settings import Settings
from watchnext.training.averaging import Averaging
from watchnext.training.checkpoint import Checkpoints
from watchnext.training.distributed import ALONE, Share
from watchnext.training.example_set import ExampleSet, RankerExamples
from watchnext.training.lines import LineFile
from watchnext.training.loader import Streamed
from watchnext.training.loop import Plan, fit, seed_torch
from watchnext.training.sizes import sizes_of
from watchnext.training.warm_start import start_of_ids

QUANTILES_OF: Final = 500_000  # impressions that the quantiles are fitted on, however many there are


def train_ranker(
    settings: Settings,
    examples: Path,
    folder: Path,
    share: Share = ALONE,
    *,
    config: ProfileConfig | None = None,
    amend: Amend = dict,
) -> dict[str, float]:
    """Fit quantiles and ranker on the impressions before the split, and write them to `folder`.

    Goes on from a checkpoint of the same.

    Args:
        settings: their `training`, `profile` and `home`.
        examples: folder of an `ExampleSet`.
        folder: where the result goes.
        share: which process this is, of those that fit the ranker together.
        config: in the place of what the settings say.
        amend: what is done to each batch before the loss.

    Returns:
        Last logged loss, steps, impressions.

    Raises:
        DataError: no impression of the training part was clicked, or all were watched for long.
    """
    data = ExampleSet.load(examples)
    config = config or profile_config(settings.profile, settings.training.model_dump())
    seed = settings.training.seed
    plan = Plan.of(settings, "ranker", config.epochs, folder, share)
    mean_seconds, long_views = _means(data.ranker)
    if mean_seconds <= 0 or not 0 < long_views < 1:
        raise DataError(
            f"{len(data.ranker)} impressions to train on have {mean_seconds} watched seconds on average and a share of "
            f"{long_views} long views; wanted some of each: do watches carry the request_id of their impression?"
        )
    quantiles = QuantileNormalizer.fit(_some_features(data.ranker, seed), config.quantile_bins)
    seed_torch(seed)
    ranker = Ranker(config.ranker_config(sizes_of(data.vocabularies, data.videos), len(RANKER_FEATURES)))
    width = ranker.video_embedding.embedding_dim
    ranker.warm_start(start_of_ids(data.met_unlabelled, data.videos.ranking_embedding, width))
    ranker.start_at(mean_seconds, long_views)
    ranker.to(plan.device)
    batches = Streamed(
        data.ranker, config.batch, seed, lambda examples: labelled(examples, data.videos, quantiles), share
    )
    loss_of = RankerLoss(ranker, config.ranking_weight, scale=1 + mean_seconds)
    optimiser = Averaging(ranker, config.learning_rate, config.id_rate, _impressions_of_rows(data, ranker.config.sizes))
    depends_on = [config.to_json(), asdict(data.meta)]
    checkpoints = Checkpoints(settings, "ranker", ranker, optimiser, depends_on, share=share)
    course = fit(plan, ranker, lambda batch: loss_of(amend(batch)), batches, optimiser, checkpoints)
    optimiser.keep_mean()
    if share.first:
        save_ranker(ranker.cpu(), quantiles, course.curve, folder)
    checkpoints.remove()
    return {"loss": course.loss, "steps": course.step, "impressions": len(data.ranker)}


def _means(past: LineFile[RankerExamples]) -> tuple[float, float]:
    """Watched seconds and long views of an impression; 0 without any."""
    sums = np.zeros(2)
    for part in past.scan("seconds", "completed"):
        sums += [part["seconds"].sum(dtype=np.float64), part["completed"].sum()]
    seconds, completed = (sums / max(len(past), 1)).tolist()
    return seconds, completed


def _impressions_of_rows(data: ExampleSet, sizes: Sizes) -> dict[str, NDArray[Any]]:
    """How many impressions show each row of the ranker's embeddings that may be big, `[rows]`, by their names in it."""
    videos, shown = data.videos, data.ranker.counts("row", size=len(data.videos))
    by_topic = np.repeat(shown, videos.topics.shape[1])
    return {
        "video_embedding": np.bincount(videos.ranking_embedding, shown, minlength=sizes.ranking_videos),
        "channel_embedding": np.bincount(videos.channel, shown, minlength=sizes.channels),
        "topic_embedding": np.bincount(videos.topics.ravel(), by_topic, minlength=sizes.topics),
        "token_embedding": data.ranker.counts("query_tokens", size=sizes.search_tokens),
    }


def _some_features(past: LineFile[RankerExamples], seed: int) -> NDArray[np.float32]:
    """Features of about `QUANTILES_OF` impressions, or of all, `[impressions, features]`."""
    generator, share = np.random.default_rng(seed), QUANTILES_OF / len(past)
    parts = (part["features"] for part in past.scan("features"))
    return np.concatenate([part[generator.random(len(part)) < share] for part in parts])


def ranker_inputs(impressions: RankerExamples, videos: VideoTable, quantiles: QuantileNormalizer) -> Batch:
    """The ranker's batch of some impressions, as the handler makes it of candidates."""
    candidates, continuous = videos.take(impressions.row), quantiles.expand(impressions.features)
    return ranker_batch(impressions.users, videos, candidates, continuous, np.arange(len(impressions)))


def labelled(impressions: RankerExamples, videos: VideoTable, quantiles: QuantileNormalizer) -> Batch:
    """The same with the labels of each."""
    return {
        **ranker_inputs(impressions, videos, quantiles),
        "clicked": impressions.clicked,
        "seconds": impressions.seconds,
        "completed": impressions.completed.astype(np.float32),
    }


@dataclass(frozen=True)
class RankerLoss:
    """The losses of both heads on a batch with its labels `clicked`, `seconds`, `completed`, each `[batch]`."""

    ranker: Ranker
    weighting: Weighting
    scale: float  # total weight of an average impression: brings both heads' losses to one size

    def __call__(self, batch: dict[str, Tensor]) -> tuple[Tensor, int]:
        """Their sum, and the number of impressions."""
        logit, long_view = (output.float() for output in self.ranker(batch))
        watch_time = weighted_logistic(logit, batch["clicked"], batch["seconds"], self.weighting)
        completed = functional.binary_cross_entropy_with_logits(long_view, batch["completed"])
        return watch_time / self.scale + completed, len(batch["clicked"])


def expected_seconds(
    ranker: Ranker,
    quantiles: QuantileNormalizer,
    videos: VideoTable,
    impressions: LineFile[RankerExamples],
    amend: Amend = dict,
) -> NDArray[np.float32]:
    """e^logit of each impression of a file; `amend` is that of its training."""
    parts = [np.zeros(0, np.float32)]
    with torch.inference_mode():
        for columns in impressions.scan():
            batch = ranker_inputs(RankerExamples.of(columns), videos, quantiles)
            parts.append(ranker.expected_seconds(amend(as_tensors(batch))).numpy())
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
