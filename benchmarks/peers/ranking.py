"""Ranking peers on the features that the ranker gets: fitted on the impressions before the cut, they score those after
it. Runs inside the peers' environment (`benchmarks.peers.environment`).

Parameters are chosen on the validation split; out come `<peer>-seed<n>.npz` (`scores` of the held-out impressions, in
order) and `<peer>.json` (`benchmarks.peers.choice.Record`).
"""

from collections.abc import Iterator
from typing import Any, Final

import lightgbm
import numpy as np
from numpy.typing import NDArray
from sklearn.compose import make_column_transformer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, QuantileTransformer, StandardScaler

from benchmarks.peers.choice import SEEDS, Parameters, grid
from benchmarks.peers.command import Peer, run
from benchmarks.quality import impressions
from benchmarks.quality.code import code_hash
from benchmarks.quality.impressions import LONG_VIEW, WATCH_TIME, Impressions
from benchmarks.quality.split_files import Split

Scores = NDArray[np.float64]

SCALERS: Final = {"standard": StandardScaler(), "quantile": QuantileTransformer(n_quantiles=256, random_state=0)}


def video_mean(split: Split, parameters: Parameters, seed: int) -> Iterator[Scores]:
    """Share of long views of a video, drawn to the share of all by `weight` impressions."""
    data, weight = Impressions.of(split), parameters["weight"]
    videos = int(data.video.max()) + 1
    shown = np.bincount(data.past.video, minlength=videos)
    viewed = np.bincount(data.past.video, data.past.long_view, minlength=videos)
    yield ((viewed + weight * data.past.long_view.mean()) / (shown + weight))[data.asked.video]


def logistic(split: Split, parameters: Parameters, seed: int) -> Iterator[Scores]:
    """Logistic regression: logit of `label`, or with `weighted` the paper's odds, which expect seconds."""
    data = Impressions.of(split)
    label = getattr(data.past, parameters["label"])
    weights = np.where(label, data.past.seconds, 1.0) if parameters["weighted"] else None
    inputs = make_column_transformer(
        (SCALERS[parameters["scaler"]], list(range(data.features.shape[1]))),
        (OneHotEncoder(handle_unknown="ignore"), categories(data)),
    )
    regression = LogisticRegression(C=parameters["C"], max_iter=1_000)
    model = make_pipeline(inputs, regression)
    model.fit(columns(data.past), label, logisticregression__sample_weight=weights)
    logit = model.decision_function(columns(data.asked))
    yield np.exp(logit) if parameters["weighted"] else logit


def boosting(split: Split, parameters: Parameters, seed: int) -> Iterator[Scores]:
    """LightGBM on `label`; scores after each `every` of its trees."""
    data, settings = Impressions.of(split), dict(parameters)
    trees, every, label = (settings.pop(name) for name in ("trees", "every", "label"))
    rows = lightgbm.Dataset(columns(data.past), getattr(data.past, label), categorical_feature=categories(data))
    settings |= {"seed": seed, "deterministic": True, "num_threads": 1, "verbose": -1}
    model = lightgbm.train(settings, rows, num_boost_round=trees)
    for number in range(every, trees + 1, every):
        yield model.predict(columns(data.asked), num_iteration=number)


def columns(data: Impressions) -> NDArray[np.float32]:
    """`[impressions, features + categories]`."""
    return np.column_stack([data.features, data.context]).astype(np.float32)


def categories(data: Impressions) -> list[int]:
    """Which of `columns` are categories."""
    first = data.features.shape[1]
    return list(range(first, first + data.context.shape[1]))


_LOGISTIC: Final[dict[str, list[Any]]] = {"scaler": list(SCALERS), "C": [0.0001, 0.001, 0.01, 0.1, 1.0]}
_TREES: Final[dict[str, list[Any]]] = {
    "trees": [1_000],
    "every": [25],
    "learning_rate": [0.03],
    "num_leaves": [15, 63],
    "min_data_in_leaf": [50, 200],
    "feature_fraction": [0.7],
    "bagging_fraction": [0.7],
    "bagging_freq": [1],
    "cat_smooth": [50],
}
PEERS: Final = {
    "video-mean": Peer(video_mean, LONG_VIEW, ("numpy",), grid(weight=[1, 2, 5, 20, 50, 100])),
    "logistic-long-view": Peer(
        logistic, LONG_VIEW, ("scikit-learn",), grid(label=["long_view"], weighted=[False], **_LOGISTIC)
    ),
    "logistic-click": Peer(
        logistic, WATCH_TIME, ("scikit-learn",), grid(label=["clicked"], weighted=[False], **_LOGISTIC)
    ),
    "logistic-weighted": Peer(
        logistic, WATCH_TIME, ("scikit-learn",), grid(label=["clicked"], weighted=[True], **_LOGISTIC)
    ),
    "lightgbm-long-view": Peer(
        boosting, LONG_VIEW, ("lightgbm",), grid(label=["long_view"], objective=["binary"], **_TREES), SEEDS
    ),
    "lightgbm-watch-time": Peer(
        boosting,
        WATCH_TIME,
        ("lightgbm",),
        grid(label=["seconds"], objective=["regression", "tweedie"], **_TREES),
        SEEDS,
    ),
}


if __name__ == "__main__":
    run(PEERS, __doc__, [code_hash((), __file__, impressions.__file__)])
