"""Contenders out of this repository, run like the peers: chosen on the validation split, seeds, the same files.

Our towers, alone and merged with the other sources as retrieval does; and the pipeline gate's item-item cosine over all
that was met, shown or watched, since the peers know watches alone and what was shown tells much.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from benchmarks.peers.choice import SEEDS, Parameters, grid
from benchmarks.peers.contest import compete, retrieval_task
from benchmarks.peers.lists import Rows
from benchmarks.quality import merged, ours
from benchmarks.quality.code import code_hash
from benchmarks.quality.split_files import Split
from watchnext.evaluation.baselines import ItemCosine
from watchnext.settings import Settings, Training
from watchnext.training.example_set import ExampleSet

PROFILE: Final = "small"
_ROOMS: Final = ("evaluation", "features", "generation", "models", "recommend", "training")


@dataclass(frozen=True)
class Contender:
    """`answer` gives ranked lists, `[queries, DEPTH]`, to a split, parameters and a seed."""

    name: str
    answer: Callable[[Split, Parameters, int], Rows]
    grid: tuple[Parameters, ...]
    measure: str  # that chooses: "recall" or "hit_rate", at 50
    seeds: tuple[int, ...] = SEEDS

    def run(self, valid: Path, test: Path, out: Path) -> None:
        """Write lists and record to `out`, where those of the same splits, grid and source code are not there."""
        compete(
            self.name,
            lambda split, parameters, seed: iter([self.answer(split, parameters, seed)]),
            self.grid,
            self.seeds,
            valid=valid,
            test=test,
            out=out,
            task=retrieval_task(self.measure),
            depends_on=[code_hash(_ROOMS, ours.__file__, merged.__file__)],
        )


def towers(split: Split, parameters: Parameters, seed: int) -> Rows:
    """Ours alone; `parameters` are settings of `training`."""
    return _trained(ours.towers_lists, split, parameters, seed)


def all_sources(split: Split, parameters: Parameters, seed: int) -> Rows:
    """Ours with the sources beside them; `parameters` are settings of `training`."""
    return _trained(merged.lists, split, parameters, seed)


def _trained(lists: Callable[[Settings, Split, Path], Rows], split: Split, parameters: Parameters, seed: int) -> Rows:
    with TemporaryDirectory() as scratch:
        training = Training(**parameters, seed=seed, threads=1)
        settings = Settings(home=Path(scratch), profile=PROFILE, training=training)
        return lists(settings, split, Path(scratch))


def item_cosine(split: Split, parameters: Parameters, seed: int) -> Rows:
    """Cosine between the sets of users who met two videos, summed over the last of the query's `bag`."""
    with TemporaryDirectory() as scratch:
        ours.write_examples(Settings(home=Path(scratch), profile=PROFILE), split, Path(scratch))
        data = ExampleSet.load(Path(scratch))
    fitted = ItemCosine.fit(data.met.person, data.met.row, videos=len(data.videos) - 1)
    bags = [bag[bag > 0] for bag in getattr(data.queries.users, parameters["bag"])]
    return ours.ranked(data, split, lambda part: fitted.scores(bags[part]))


_KUAIRAND_GRID: Final[dict[str, list[Any]]] = {
    "embedding_dim": [64, 128],
    "tower": [[256]],
    "tower_learning_rate": [0.001],
    "tower_id_rate": [0.005],
    "tower_epochs": [4, 6],
    "negatives": [4_000],
}
KUAIRAND: Final = (
    Contender("item-cosine-met", item_cosine, grid(bag=["history", "shown"]), "recall", SEEDS[:1]),
    Contender("towers", towers, grid(**_KUAIRAND_GRID), "recall"),
    Contender("merged", all_sources, grid(**_KUAIRAND_GRID), "recall"),
)
_MOVIELENS_GRID: Final[dict[str, list[Any]]] = {
    "embedding_dim": [64],
    "windows": [[50, 5, 1]],
    "tower_learning_rate": [0.002],
    "tower_id_rate": [0.04],
    "cap_per_user": [200],  # a user has 165 watches
}
MOVIELENS: Final = (
    Contender("towers", towers, grid(**_MOVIELENS_GRID, tower_epochs=[3]), "hit_rate"),
    # Its validation figure still rises after the sixth epoch (ADR 34).
    Contender("towers-attention", towers, grid(**_MOVIELENS_GRID, pooling=["attention"], tower_epochs=[6]), "hit_rate"),
)
