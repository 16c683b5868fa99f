"""What is asked of the models: next watches for the towers, impressions for the ranker, queries for the holdout.

Times of a label (design, section 4): `now_ms` is the time that the model is told, `as_of_ms` the time up to which rows
may be read, 1 ms before, so that an event stamped like its label stays invisible. For an impression of a list that our
gateway served both come from `served_at`: what the ranker saw then is what it learns from. A watch out of a list is
asked for as of the first impression of that list: later, what the list showed would give the watch away.
"""

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import pandas as pd

from watchnext.contracts.names import DERIVED_SURFACE, Source
from watchnext.data.labels import impression_of_watch
from watchnext.data.records import fraction_of

HOLDOUT: Final = 0.1  # share of the labels, by time
QUERIES_PER_USER: Final = 3
MAX_QUERIES: Final = 3_000
NEXT_WATCHES: Final = 10  # targets of a query
_CONTEXT = ["surface", "device", "country", "seed_video_id"]
_REQUEST = ["user_id", "request_id"]


def next_watches(watches: pd.DataFrame, impressions: pd.DataFrame, known: set[str], window_ms: int) -> pd.DataFrame:
    """Tower labels: completed watches of catalogue videos, whatever led to them, with `now_ms` and context, in order.

    A watch whose time a data set derived is history only. `window_ms` is that of `label_impressions`.
    """
    wanted = watches["completed"] & watches["video_id"].isin(known) & (watches["surface"] != DERIVED_SURFACE)
    labels = watches[wanted].reset_index(drop=True)
    impression = impression_of_watch(impressions, labels, window_ms)
    begun = impressions.groupby(_REQUEST)["shown_at"].transform("min").to_numpy(np.int64)
    now = labels["started_at"].to_numpy(np.int64).copy()
    listed = impression >= 0
    now[listed] = np.minimum(now[listed], begun[impression[listed]])
    labels = labels.assign(now_ms=now, as_of_ms=now - 1, seed_video_id="")
    labels = labels.sort_values(["now_ms", "event_id"], kind="stable")
    return labels[["user_id", "video_id", "event_id", "now_ms", "as_of_ms", *_CONTEXT]].reset_index(drop=True)


def capped(labels: pd.DataFrame, per_user: int) -> pd.DataFrame:
    """At most `per_user` labels of each user, drawn by a hash of the event id: the same ones in every run."""
    draw = labels["event_id"].map(lambda event_id: fraction_of("cap", event_id))
    drawn = labels.loc[draw.sort_values(kind="stable").index]
    return drawn.groupby("user_id", sort=False).head(per_user).sort_index().reset_index(drop=True)


def queries(labels: pd.DataFrame, split_ms: int) -> pd.DataFrame:
    """Held-out tower labels to ask about, a few a user, each with `targets`: the user's next watches from it on."""
    held_out = labels[labels["now_ms"] >= split_ms]
    asked = capped(held_out, QUERIES_PER_USER)
    draw = asked["event_id"].map(lambda event_id: fraction_of("query", event_id))
    asked = asked.loc[draw.sort_values(kind="stable").index[:MAX_QUERIES].sort_values()]
    wanted = list(zip(asked["user_id"], asked["event_id"], strict=True))  # an event id is one of its user's
    following: dict[Any, list[str]] = {key: [] for key in wanted}
    for user_id, group in held_out.groupby("user_id", sort=False):
        videos = group["video_id"].tolist()
        for at, event_id in enumerate(group["event_id"]):
            if (user_id, event_id) in following:  # of a user with thousands, the few that are asked
                following[user_id, event_id] = list(dict.fromkeys(videos[at:]))
    targets = pd.Series([following[key] for key in wanted], index=asked.index, dtype=object)
    return asked.assign(targets=targets).reset_index(drop=True)


def ranking_labels(impressions: pd.DataFrame, served: pd.DataFrame) -> pd.DataFrame:
    """Impressions with times, context, and the retrieval score and sources under which they were served.

    Score and sources are 0 for an impression that no served list names: data sets do not tell them. A request id is one
    of its user's: clients choose them.
    """
    lists = served[[*_REQUEST, "served_at", "seed_video_id", "device", "country"]].drop_duplicates(_REQUEST)
    labels = impressions.merge(lists, on=_REQUEST, how="left")
    now = labels["served_at"].fillna(labels["shown_at"]).astype(np.int64)
    labels = labels.assign(now_ms=np.minimum(now, labels["shown_at"]))
    labels = labels.assign(as_of_ms=labels["now_ms"] - 1)
    for name in ("seed_video_id", "device", "country"):
        labels[name] = labels[name].fillna("")
    logged = {
        (user_id, request_id, item["video_id"]): score_and_sources(item)
        for user_id, request_id, items in zip(served["user_id"], served["request_id"], served["items"], strict=True)
        for item in items
    }
    keys = zip(labels["user_id"], labels["request_id"], labels["video_id"], strict=True)
    found = [logged.get(key, (0.0, 0)) for key in keys]
    return labels.assign(
        score=np.array([score for score, _ in found], np.float32),
        sources=np.array([bits for _, bits in found], np.int32),
    )


def score_and_sources(item: Mapping[str, Any]) -> tuple[float, int]:
    """Retrieval score and source bitmask of one line of a served list, as the ranker saw them.

    >>> score_and_sources({"scores": [0.5], "sources": ["tower", "trending"]})
    (0.5, 9)
    """
    score = float(item["scores"][0]) if len(item["scores"]) else 0.0
    return score, sum(Source[label.upper()] for label in item["sources"])
