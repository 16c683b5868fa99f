"""Our rankers among the contenders of the ranking: the product's own training, on the examples beside the split.

`ranker` answers with both heads and is chosen by both. `ranker-unweighted` is plain logistic regression of the click:
the paper's weights, with one second for each click; it answers with that head, and is chosen by what it is for.
"""

import dataclasses
import shutil
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import numpy as np
import torch

from benchmarks.peers.choice import SEEDS, Parameters, grid
from benchmarks.peers.contest import Answer, Task, compete
from benchmarks.quality import impressions
from benchmarks.quality.code import code_hash
from benchmarks.quality.impressions import WATCH_TIME, long_view_auc, watch_time_in_order
from benchmarks.quality.ranking_split import EXAMPLES, PROFILE, examples_hash
from benchmarks.quality.split_files import Split
from watchnext.models.layers import as_tensors
from watchnext.settings import Settings, Training
from watchnext.training.example_set import ExampleSet, RankerExamples
from watchnext.training.ranker import load_ranker, ranker_inputs, train_ranker

RANKER: Final = "ranker"
UNWEIGHTED: Final = "ranker-unweighted"
GRID: Final = grid(epochs=[2, 3, 5, 8], learning_rate=[0.001, 0.002], id_rate=[0.02, 0.2])


def both_heads(split: Split, scores: Answer) -> float:
    """The mean of what each head is measured by; `scores` are `[heads, impressions]`."""
    long_view, watch_time = scores
    return (long_view_auc(split, long_view) + watch_time_in_order(split, watch_time)) / 2


BOTH_HEADS: Final = Task("scores", "mean of long view AUC and 1 - weighted per-user loss", both_heads, SEEDS)


def run_rankers(valid: Path, test: Path, out: Path) -> None:
    """Both write their scores and records to `out`, where those of the same are not there."""
    folders = {folder.name: folder for folder in (valid, test)}
    code = code_hash(("evaluation", "features", "models", "training"), __file__, impressions.__file__)

    def weighted(split: Split, parameters: Parameters, seed: int) -> Iterator[Answer]:
        yield scores(folders[split.name] / EXAMPLES, parameters, seed)

    def unweighted(split: Split, parameters: Parameters, seed: int) -> Iterator[Answer]:
        with TemporaryDirectory() as scratch:
            plain = clicks_alone(folders[split.name] / EXAMPLES, Path(scratch) / EXAMPLES)
            yield scores(plain, parameters | {"ranking_weight": "paper"}, seed)[1]

    for name, answers, task in ((RANKER, weighted, BOTH_HEADS), (UNWEIGHTED, unweighted, WATCH_TIME)):
        depends_on = [code, examples_hash(valid), examples_hash(test)]
        compete(name, answers, GRID, SEEDS, task=task, valid=valid, test=test, out=out, depends_on=depends_on)


def scores(examples: Path, parameters: Parameters, seed: int) -> Answer:
    """Train on `examples`; both heads on what they hold out, `[2, impressions]`: logit of a long view, seconds.

    `parameters` are settings of `training`.
    """
    data = ExampleSet.load(examples)
    with TemporaryDirectory() as scratch:
        training = Training(**parameters, seed=seed, threads=1)
        train_ranker(Settings(home=Path(scratch), profile=PROFILE, training=training), examples, Path(scratch) / "out")
        ranker, quantiles = load_ranker(Path(scratch) / "out")
    heads = []
    with torch.inference_mode():
        for columns in data.held_out.scan():
            inputs = ranker_inputs(RankerExamples.of(columns), data.videos, quantiles)
            watch_time, long_view = ranker(as_tensors(inputs))
            heads.append(torch.stack([long_view, watch_time.exp()]).numpy())
    return np.concatenate(heads, axis=1)


def clicks_alone(examples: Path, folder: Path) -> Path:
    """A copy in which each click lasted one second."""
    shutil.copytree(examples, folder)
    copied = ExampleSet.load(folder)
    past = copied.ranker.read()
    with copied.ranker.writer() as ranker:
        ranker.write(dataclasses.replace(past, seconds=past.clicked.astype(np.float32)))
    return folder
