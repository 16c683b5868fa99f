"""What is trained once more, each time with one thing different: the rows of the ablation card.

A variation changes numbers of the profile, what each batch holds, or the examples themselves; the models have no
switch for it. Inputs are taken away by zeros, which the embeddings leave out.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final, Literal

import numpy as np
from torch import Tensor, zeros_like

from watchnext.errors import UsageError
from watchnext.features.spec import HISTORY, RANKER_FEATURES
from watchnext.models.layers import Amend
from watchnext.models.towers import EXAMPLE_AGE
from watchnext.training.example_set import RankerExamples, TowerExamples

Stage = Literal["towers", "ranker"]
Batch = dict[str, Tensor]

ALL: Final = 1_000_000_000  # examples of a user: no cap
FRESHNESS_ERROR: Final = "freshness error"
LISTED_WATCHES: Final = "watches@50"  # training watches of what is listed: how popular the lists are
TOWER_METRICS: Final = ("recall@50", "map@50")
RANKER_METRICS: Final = ("weighted_per_user_loss", "auc")
METRICS: Final[dict[Stage, tuple[str, ...]]] = {"towers": TOWER_METRICS, "ranker": RANKER_METRICS}
LESS_IS_BETTER: Final = ("weighted_per_user_loss", FRESHNESS_ERROR)

_PLACE_AND_TIME: Final = ("country", "device", "gender", "surface", "hour")
_VIDEO_CONTENT: Final = ("channel", "topics", "language", "length", "uploaded_at")
_WATCHED_CONTENT: Final = ("history_channels", "history_topics")


@dataclass(frozen=True, kw_only=True, eq=False)
class Variation:
    """One row: what is different from the base of its stage."""

    name: str
    stage: Stage
    says: str  # what is different
    config: Mapping[str, Any] = field(default_factory=dict)  # fields of `ProfileConfig`
    amend: Amend = dict
    towers: Callable[[TowerExamples, np.random.Generator], TowerExamples] | None = None
    ranker: Callable[[RankerExamples], RankerExamples] | None = None
    uncapped: bool = False  # learns from all examples of a user
    metrics: tuple[str, ...] = ()  # none: those of the stage


def without(*names: str, continuous: slice | int = slice(0, 0)) -> Amend:
    """Batches with zeros for these inputs, and for these columns of the continuous ones."""

    def amend(batch: Batch) -> Batch:
        hidden = {name: zeros_like(batch[name]) for name in names if name in batch}
        if "continuous" in batch:
            hidden["continuous"] = batch["continuous"].clone()
            hidden["continuous"][:, continuous] = 0
        return {**batch, **hidden}

    return amend


def without_log_q(batch: Batch) -> Batch:
    """A negative's logit is its score: what is drawn often counts as often as it is drawn."""
    if "log_q" not in batch:
        return batch
    samples = batch["log_q"].new_tensor(len(batch["log_q"]))
    return {**batch, "log_q": zeros_like(batch["log_q"]) - samples.log()}


def random_held_out(examples: TowerExamples, draw: np.random.Generator) -> TowerExamples:
    """The label is any of the last watches and the next one; the others, before and after it, are the history."""
    users, lines = examples.users, np.arange(len(examples))
    filled = users.history != 0  # not of watches that the catalogue does not know
    watched = filled.sum(axis=1)
    history = np.take_along_axis(users.history, np.argsort(~filled, axis=1, kind="stable"), axis=1)
    together = np.concatenate([history, np.zeros((len(examples), 1), np.int32)], axis=1)
    together[lines, watched] = examples.row
    chosen = draw.integers(watched + 1)
    others = together[np.arange(HISTORY + 1) != chosen[:, None]].reshape(len(examples), HISTORY)
    row = together[lines, chosen]
    shown = np.where(users.shown == row[:, None], 0, users.shown)
    return replace(examples, row=row, users=replace(users, history=others, shown=shown))


def clicks_alone(examples: RankerExamples) -> RankerExamples:
    """Every click is worth one second: with the paper's weights, plain logistic regression on clicks."""
    return replace(examples, seconds=examples.clicked.astype(np.float32))


_TOWERS: Final = (
    Variation(name="towers", stage="towers", says="the base"),
    Variation(
        name="no-example-age",
        stage="towers",
        says="without the age of an example",
        amend=without(continuous=EXAMPLE_AGE),
        metrics=(FRESHNESS_ERROR, *TOWER_METRICS),
    ),
    Variation(
        name="random-label",
        stage="towers",
        says="the label is any of the last watches, not the next one; all others are the history",
        towers=random_held_out,
    ),
    Variation(name="no-cap", stage="towers", says="all examples of a user, not at most K", uncapped=True),
    Variation(name="sum-pooling", stage="towers", says="bags are summed", config={"pooling": "sum"}),
    Variation(name="max-pooling", stage="towers", says="the maximum of bags", config={"pooling": "max"}),
    Variation(
        name="attention-pooling",
        stage="towers",
        says="averages, and attention over the last watches",
        config={"pooling": "attention"},
    ),
    *(
        Variation(name=f"depth-{name}", stage="towers", says=f"hidden layers {layers}", config={"tower": layers})
        for name, layers in (
            ("0", ()),
            ("256", (256,)),
            ("512-256", (512, 256)),
            ("1024-512-256", (1024, 512, 256)),
        )
    ),
    Variation(
        name="only-watches",
        stage="towers",
        says="of a user what they watched, nothing else",
        amend=without("shown", "search_tokens", *_PLACE_AND_TIME, continuous=slice(None)),
    ),
    Variation(
        name="add-searches",
        stage="towers",
        says="and what they searched for",
        amend=without("shown", *_PLACE_AND_TIME, continuous=slice(None)),
    ),
    Variation(
        name="add-demographics",
        stage="towers",
        says="and demographics, place and time",
        amend=without("shown", continuous=EXAMPLE_AGE),
    ),
    Variation(
        name="add-example-age",
        stage="towers",
        says="and example age: all but what they were shown",
        amend=without("shown"),
    ),
    Variation(
        name="matrix-factorisation",
        stage="towers",
        says="a user is a linear map of the mean of their videos' vectors, a video its id; same start and loss",
        config={"tower": ()},
        amend=without(
            "shown", "search_tokens", *_WATCHED_CONTENT, *_PLACE_AND_TIME, *_VIDEO_CONTENT, continuous=slice(None)
        ),
    ),
    Variation(
        name="no-log-q",
        stage="towers",
        says="no correction of how often a video is drawn",
        amend=without_log_q,
        metrics=(*TOWER_METRICS, LISTED_WATCHES),
    ),
)
_RANKER: Final = (
    Variation(name="ranker", stage="ranker", says="the base"),
    Variation(
        name="paper-weights",
        stage="ranker",
        says="a clicked impression is no negative as well",
        config={"ranking_weight": "paper"},
    ),
    Variation(
        name="plain-logistic",
        stage="ranker",
        says="unweighted regression on clicks",
        config={"ranking_weight": "paper"},
        ranker=clicks_alone,
    ),
    Variation(
        name="no-squares-no-roots",
        stage="ranker",
        says="x̃ alone, without x̃² and √x̃",
        amend=without(continuous=slice(len(RANKER_FEATURES), None)),
    ),
    Variation(
        name="no-quantiles",
        stage="ranker",
        says="features on a straight line from the least value to the largest",
        config={"quantile_bins": 1},
    ),
)
VARIATIONS: Final = {variation.name: variation for variation in (*_TOWERS, *_RANKER)}


def base_of(variation: Variation) -> Variation:
    """What a row is compared with."""
    return VARIATIONS[variation.stage]


def chosen(rows: str) -> list[Variation]:
    """The variations named, divided by commas, behind the bases that they want; all without a name.

    Raises:
        UsageError: there is no such variation.
    """
    names = [name.strip() for name in rows.split(",") if name.strip()] or list(VARIATIONS)
    if unknown := [name for name in names if name not in VARIATIONS]:
        raise UsageError(f"{', '.join(unknown)} came as rows; wanted some of {', '.join(VARIATIONS)}")
    wanted = [VARIATIONS[name] for name in names]
    return list(dict.fromkeys([*map(base_of, wanted), *wanted]))
