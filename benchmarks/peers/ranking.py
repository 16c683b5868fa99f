"""Ranking peers on the features that the ranker gets: fitted before the cut, scored after it. Runs inside the peers'
environment (`benchmarks.peers.environment`).

In comes one npz file with a row an impression: `features` `[n, F]` and `feature_names`, `surface`, `video`, `person`,
`clicked`, `seconds`, `long_view`, `part` (0 train, 1 valid, 2 test). Parameters are chosen by a fit on part 0 and the
scores of part 1; the test is scored by a fit on both. Out come `<peer>-seed<n>.npz` (`valid` and `test`: the scores of
parts 1 and 2 in the order of their rows) and `<peer>.json` (`benchmarks.peers.choice.Record`).
"""

import argparse
import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

import lightgbm
import numpy as np
from numpy.typing import NDArray
from sklearn.compose import make_column_transformer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from benchmarks.peers.choice import SEEDS, Parameters, Record, answer_like, best_of, grid, try_all
from watchnext.evaluation.ranking import auc, weighted_per_user_loss

Scores = NDArray[np.float64]
Bools = NDArray[np.bool_]

VALID: Final = 1
TEST: Final = 2


@dataclass(frozen=True)
class Impressions:
    """The columns of the file, `[n]` or `[n, F]`."""

    features: NDArray[np.float32]
    surface: NDArray[np.int32]
    video: NDArray[np.int32]
    person: NDArray[np.int32]
    clicked: Bools
    seconds: NDArray[np.float32]
    long_view: Bools
    part: NDArray[np.int8]

    @classmethod
    def read(cls, path: Path) -> "Impressions":
        with np.load(path) as file:
            return cls(**{name: file[name] for name in cls.__dataclass_fields__})

    @property
    def columns(self) -> NDArray[np.float32]:
        """`[n, F + 1]`: the features and, last, the surface, which is a category."""
        return np.column_stack([self.features, self.surface]).astype(np.float32)


def video_mean(data: Impressions, fit: Bools, parameters: Parameters, seed: int) -> Iterator[Scores]:
    """Share of long views of a video, drawn to the share of all by `weight` impressions."""
    videos = int(data.video.max()) + 1
    shown = np.bincount(data.video[fit], minlength=videos)
    viewed = np.bincount(data.video[fit], data.long_view[fit], minlength=videos)
    weight = parameters["weight"]
    yield ((viewed + weight * data.long_view[fit].mean()) / (shown + weight))[data.video]


def logistic(data: Impressions, fit: Bools, parameters: Parameters, seed: int) -> Iterator[Scores]:
    """Logistic regression: probability of `label`, or with `weighted` the paper's odds, which expect seconds."""
    label = getattr(data, parameters["label"])[fit]
    weights = np.where(label, data.seconds[fit], 1.0) if parameters["weighted"] else None
    number = data.features.shape[1]
    inputs = make_column_transformer(
        (StandardScaler(), list(range(number))), (OneHotEncoder(handle_unknown="ignore"), [number])
    )
    regression = LogisticRegression(C=parameters["C"], max_iter=1_000)
    model = make_pipeline(inputs, regression)
    model.fit(data.columns[fit], label, logisticregression__sample_weight=weights)
    logit = model.decision_function(data.columns)
    yield np.exp(logit) if parameters["weighted"] else logit


def boosting(data: Impressions, fit: Bools, parameters: Parameters, seed: int) -> Iterator[Scores]:
    """LightGBM on `label`; scores after each `every` of its trees."""
    settings = dict(parameters)
    trees, every, label = (settings.pop(name) for name in ("trees", "every", "label"))
    rows = lightgbm.Dataset(data.columns[fit], getattr(data, label)[fit], categorical_feature=[data.features.shape[1]])
    settings |= {"seed": seed, "deterministic": True, "num_threads": 1, "verbose": -1}
    model = lightgbm.train(settings, rows, num_boost_round=trees)
    for number in range(every, trees + 1, every):
        yield model.predict(data.columns, num_iteration=number)


def long_view_auc(data: Impressions, rows: Bools, scores: Scores) -> float:
    return auc(scores[rows], data.long_view[rows])


def watch_time_in_order(data: Impressions, rows: Bools, scores: Scores) -> float:
    """1 less the paper's weighted per-user loss."""
    columns = (scores, data.seconds, data.clicked, data.person)
    return 1 - weighted_per_user_loss(*(column[rows] for column in columns)).value


@dataclass(frozen=True)
class Peer:
    """A contender; `scores` yields scores of all rows: one array, or one after each so many trees."""

    scores: Callable[[Impressions, Bools, Parameters, int], Iterator[Scores]]
    value: Callable[[Impressions, Bools, Scores], float]
    packages: tuple[str, ...]
    grid: tuple[Parameters, ...]
    seeds: tuple[int, ...] = SEEDS[:1]


_C: Final = [0.001, 0.01, 0.1, 1.0]
_TREES: Final = {
    "trees": [1_000],
    "every": [50],
    "learning_rate": [0.03],
    "num_leaves": [15, 63],
    "min_data_in_leaf": [50, 200],
    "feature_fraction": [0.7],
    "bagging_fraction": [0.7],
    "bagging_freq": [1],
    "cat_smooth": [50],
}
PEERS: Final = {
    "video-mean": Peer(video_mean, long_view_auc, ("numpy",), grid(weight=[5, 20, 50, 100, 300])),
    "logistic-long-view": Peer(
        logistic, long_view_auc, ("scikit-learn",), grid(label=["long_view"], weighted=[False], C=_C)
    ),
    "logistic-click": Peer(
        logistic, watch_time_in_order, ("scikit-learn",), grid(label=["clicked"], weighted=[False], C=_C)
    ),
    "logistic-weighted": Peer(
        logistic, watch_time_in_order, ("scikit-learn",), grid(label=["clicked"], weighted=[True], C=_C)
    ),
    "lightgbm-long-view": Peer(
        boosting, long_view_auc, ("lightgbm",), grid(label=["long_view"], objective=["binary"], **_TREES), SEEDS
    ),
    "lightgbm-watch-time": Peer(
        boosting,
        watch_time_in_order,
        ("lightgbm",),
        grid(label=["seconds"], objective=["regression", "tweedie"], **_TREES),
        SEEDS,
    ),
}


def run(name: str, examples: Path, out: Path) -> None:
    """Write the scores and the record of one peer, where they are not there."""
    peer = PEERS[name]
    decides = [hashlib.sha256(examples.read_bytes()).hexdigest(), peer.grid, peer.seeds]
    record = Record.of(out, name, peer.packages, decides)
    if record.current:
        return
    data = Impressions.read(examples)
    valid, test = data.part == VALID, data.part == TEST
    before = partial(peer.scores, data, data.part < VALID)
    trials = try_all(peer.grid, partial(before, seed=SEEDS[0]), partial(peer.value, data, valid))
    seconds = {}
    for seed in peer.seeds:
        chosen = best_of(trials)
        at_valid, _ = answer_like(chosen, partial(before, seed=seed))
        at_test, seconds[seed] = answer_like(chosen, partial(peer.scores, data, data.part < TEST, seed=seed))
        np.savez_compressed(out / f"{name}-seed{seed}.npz", valid=at_valid[valid], test=at_test[test])
    record.write(peer.packages, peer.value.__name__, trials, seconds)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--examples", type=Path, required=True)
    options.add_argument("--out", type=Path, required=True)
    options.add_argument("--peers", nargs="+", choices=list(PEERS), default=list(PEERS))
    asked = options.parse_args()
    asked.out.mkdir(parents=True, exist_ok=True)
    for name in asked.peers:
        run(name, asked.examples, asked.out)


if __name__ == "__main__":
    main()
