"""RecTools' models (rectools, implicit, rectools-lightfm): popularity, neighbours, factors, EASE, SASRec.

Each function takes a split, parameters and a seed, and yields ranked lists: one, or one after each so many epochs.
"""

import logging
from collections.abc import Iterator
from datetime import timedelta
from typing import Any, Final

import numpy as np
import pandas as pd
from implicit.als import AlternatingLeastSquares
from implicit.nearest_neighbours import CosineRecommender
from lightfm import LightFM
from numpy.typing import NDArray
from pytorch_lightning import seed_everything
from rectools import Columns
from rectools.dataset import Dataset, Interactions
from rectools.models import (
    EASEModel,
    ImplicitALSWrapperModel,
    ImplicitItemKNNWrapperModel,
    LightFMWrapperModel,
    PopularModel,
    SASRecModel,
)
from rectools.models.base import ModelBase

from benchmarks.peers.lists import Rows, first_unseen
from benchmarks.quality.split_files import DEPTH, Split, lists_of

STRANGERS: Final = {"days": 1}  # what they get to whom a model knows nothing to say: the popular of the last day
_QUERIES_A_PART: Final = 1_000

logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)


def popular(split: Split, parameters: dict[str, Any], seed: int) -> Iterator[Rows]:
    dataset = _dataset(split)
    model = _popular_model(**parameters).fit(dataset)
    yield _lists(model, dataset, split, split.queries["user"].to_numpy())


def item_knn(split: Split, parameters: dict[str, Any], seed: int) -> Iterator[Rows]:
    """Cosine between videos; a list for each of `last`: how many watches of a user count when they ask (0: all)."""
    dataset = _dataset(split)
    model = ImplicitItemKNNWrapperModel(CosineRecommender(K=parameters["neighbours"])).fit(dataset)
    for last in parameters["last"]:
        yield _lists(model, _of_last(dataset, last), split)


def ease(split: Split, parameters: dict[str, Any], seed: int) -> Iterator[Rows]:
    """A list for each of `last`, as in `item_knn`."""
    dataset = _dataset(split)
    model = EASEModel(regularization=parameters["regularization"]).fit(dataset)
    for last in parameters["last"]:
        yield _lists(model, _of_last(dataset, last), split)


def ials(split: Split, parameters: dict[str, Any], seed: int) -> Iterator[Rows]:
    dataset = _dataset(split)
    factors = AlternatingLeastSquares(**parameters, random_state=seed, num_threads=1, use_gpu=False)
    yield _lists(ImplicitALSWrapperModel(factors).fit(dataset), dataset, split)


def lightfm(split: Split, parameters: dict[str, Any], seed: int) -> Iterator[Rows]:
    dataset = _dataset(split)
    settings = dict(parameters)
    epochs, every = settings.pop("epochs"), settings.pop("every")
    model = LightFMWrapperModel(LightFM(**settings, random_state=seed), num_threads=1)
    for _ in range(epochs // every):
        model.fit_partial(dataset, epochs=every)
        yield _lists(model, dataset, split)


def sasrec(split: Split, parameters: dict[str, Any], seed: int) -> Iterator[Rows]:
    """`session_max_len` is one for each data set: about as long as its histories are."""
    dataset = _dataset(split)
    settings = dict(parameters)
    epochs, every, lengths = (settings.pop(name) for name in ("epochs", "every", "session_max_len"))
    seed_everything(seed, verbose=False)
    model = SASRecModel(**settings, session_max_len=lengths[split.data], epochs=every, recommend_torch_device="cpu")
    for _ in range(epochs // every):
        model.fit_partial(dataset, min_epochs=every, max_epochs=every)
        yield _lists(model, dataset, split, _with_a_known_video(model, dataset))


def _dataset(split: Split) -> Dataset:
    """All positives of the split, in its order."""
    rows = split.interactions.to_pandas()
    return Dataset.construct(
        pd.DataFrame(
            {
                Columns.User: rows["user"],
                Columns.Item: rows["video"],
                Columns.Weight: 1.0,
                Columns.Datetime: pd.to_datetime(rows["at_ms"], unit="ms"),
            }
        )
    )


def _with_a_known_video(model: SASRecModel, dataset: Dataset) -> Rows:
    """Users with a video that the model learnt: it leaves out users of one watch, and what only they watched."""
    rows = dataset.interactions.df
    learnt = dataset.item_id_map.convert_to_internal(model.data_preparator.get_known_item_ids())
    users = rows.loc[rows[Columns.Item].isin(learnt), Columns.User].unique()
    known: Rows = dataset.user_id_map.convert_to_external(users)
    return known


def _of_last(dataset: Dataset, last: int) -> Dataset:
    """The same users and videos, with the last watches of each user only (0: all)."""
    if not last:
        return dataset
    rows = dataset.interactions.df
    kept = rows.groupby(Columns.User).tail(last)
    widest = rows.nlargest(1, Columns.Item).assign(**{Columns.Weight: 0.0})  # its matrix is as wide as that fitted on
    return Dataset(dataset.user_id_map, dataset.item_id_map, Interactions(pd.concat([kept, widest], ignore_index=True)))


def _popular_model(days: int) -> PopularModel:
    return PopularModel("n_users", period=timedelta(days=days) if days else None)


def _lists(model: ModelBase, dataset: Dataset, split: Split, knows: Rows | None = None) -> Rows:
    """What `model` recommends to each query of whom it `knows` (all of `dataset`), without what it has seen."""
    users = split.queries["user"].to_numpy()
    seen = lists_of(split.queries["seen"])
    known = np.isin(users, dataset.user_id_map.external_ids if knows is None else knows)
    lists = np.zeros((len(users), DEPTH), np.int32)
    strangers = _popular_model(**STRANGERS).fit(dataset)
    for who, recommender in ((known, model), (~known, strangers)):
        for queries in _alike(np.flatnonzero(who), seen):
            known_there = [seen[query] for query in queries]
            depth = min(DEPTH + max(map(len, known_there)), dataset.item_id_map.size)
            ranked = _recommended(recommender, users[queries], dataset, depth)
            lists[queries] = first_unseen(ranked, known_there)
    return lists


def _alike(queries: NDArray[np.intp], seen: list[Rows]) -> list[NDArray[np.intp]]:
    """`queries` in parts that have seen about as much: a list must be deep enough to lose what was seen.

    RecTools itself leaves out what a user watched, and not what was merely shown.
    """
    ordered = queries[np.argsort([len(seen[query]) for query in queries], kind="stable")]
    return np.array_split(ordered, -(-len(ordered) // _QUERIES_A_PART)) if len(ordered) else []


def _recommended(model: ModelBase, users: Rows, dataset: Dataset, depth: int) -> Rows:
    found = model.recommend(users, dataset, k=depth, filter_viewed=False, add_rank_col=False)
    query = pd.Series(np.arange(len(users)), index=users).loc[found[Columns.User]].to_numpy()
    ranked = np.zeros((len(users), depth), np.int32)
    ranked[query, found.groupby(Columns.User).cumcount()] = found[Columns.Item]
    return ranked
