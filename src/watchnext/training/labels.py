"""What is asked of the models: next watches for the towers, impressions for the ranker, queries for the holdout.

Times of a label (design, section 4): `now_ms` is the time that the model is told, `as_of_ms` the time up to which rows
may be read, 1 ms before, so that an event stamped like its label stays invisible. For an impression of a list that our
gateway served both come from `served_at`: what the ranker saw then is what it learns from. A watch out of a list is
asked for as of the first impression of that list: later, what the list showed would give the watch away. A client's
clock may be behind ours: no impression of a list is asked about later than the first watch out of it began.
"""

from typing import Any, Final

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from watchnext.contracts.names import DERIVED_SURFACE, Source
from watchnext.data.labels import impression_of_watch
from watchnext.data.records import fraction_of
from watchnext.training.states import Lists

HOLDOUT: Final = 0.1  # share of the labels, by time
QUERIES_PER_USER: Final = 3
MAX_QUERIES: Final = 3_000
NEXT_WATCHES: Final = 10  # targets of a query
_CONTEXT = ["surface", "device", "country", "seed_video_id"]
_REQUEST = ["user_id", "request_id"]


def as_asked(impressions: pd.DataFrame, lists: pd.DataFrame) -> pd.DataFrame:
    """Impressions with the surface for which their list of `log.served` was asked: a client may say another."""
    asked = lists.set_index(_REQUEST)["surface"].reindex(pd.MultiIndex.from_frame(impressions[_REQUEST])).to_numpy()
    return impressions.assign(surface=np.where(pd.isna(asked), impressions["surface"], asked))


def next_watches(watches: pd.DataFrame, impressions: pd.DataFrame, known: set[str], window_ms: int) -> pd.DataFrame:
    """Tower labels: completed watches of catalogue videos, whatever led to them, with `now_ms` and context, in order.

    A watch whose time a data set derived is history only. One that names no surface has that of its impression.
    `window_ms` is that of `label_impressions`.
    """
    wanted = watches["completed"] & watches["video_id"].isin(known) & (watches["surface"] != DERIVED_SURFACE)
    labels = watches[wanted].reset_index(drop=True)
    impression = impression_of_watch(impressions, labels, window_ms)
    begun = impressions.groupby(_REQUEST)["shown_at"].transform("min").to_numpy(np.int64)
    now = labels["started_at"].to_numpy(np.int64).copy()
    listed = impression >= 0
    now[listed] = np.minimum(now[listed], begun[impression[listed]])
    surface = labels["surface"].to_numpy(object, copy=True)
    unnamed = listed & (surface == "")
    surface[unnamed] = impressions["surface"].to_numpy(object)[impression[unnamed]]
    labels = labels.assign(now_ms=now, as_of_ms=now - 1, surface=surface, seed_video_id="")
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


def ranking_labels(impressions: pd.DataFrame, lists: pd.DataFrame, items: Any) -> pd.DataFrame:
    """Impressions with times, context, and the retrieval score and sources under which they were served.

    Score and sources are 0 for an impression that no served list names: data sets do not tell them. A request id is one
    of its user's: clients choose them. `impressions` have the `begun_at` of their labels; `lists` and the Arrow column
    `items` are those of `log.served`.
    """
    context = lists[[*_REQUEST, "served_at", "seed_video_id", "device", "country"]]
    labels = impressions.merge(context.assign(place=np.arange(len(lists))), on=_REQUEST, how="left")
    now = labels["served_at"].fillna(labels["shown_at"]).astype(np.int64)
    early = labels["begun_at"].where(labels["begun_at"] < labels["shown_at"])
    early = early.groupby([labels[name] for name in _REQUEST]).transform("min").fillna(now).astype(np.int64)
    labels = labels.assign(now_ms=np.minimum(np.minimum(now, labels["shown_at"]), early))
    labels = labels.assign(as_of_ms=labels["now_ms"] - 1)
    for name in ("seed_video_id", "device", "country"):
        labels[name] = labels[name].fillna("")
    lines = Lists.of(items)
    line = _line_of(labels["place"].fillna(-1).to_numpy(np.int64), labels["video_id"], lines)
    score, sources = np.zeros(len(labels), np.float32), np.zeros(len(labels), np.int32)
    logged = line >= 0
    score[logged], sources[logged] = score_and_sources(lines.values.take(pa.array(line[logged])))
    return labels.drop(columns="place").assign(score=score, sources=sources)


def _line_of(place: NDArray[np.int64], video_ids: pd.Series, lines: Lists) -> NDArray[np.int64]:
    """Where in all lines the list at `place` (-1: none) has each video, or -1; the last place where it has it twice."""
    videos = pd.Index(video_ids.unique())
    video = pc.index_in(pc.struct_field(lines.values, "video_id"), value_set=pa.array(videos, pa.string()))
    shown = pc.fill_null(video, -1).to_numpy().astype(np.int64)
    in_list = np.repeat(np.arange(len(lines.lengths)), lines.lengths)
    codes = np.where(shown >= 0, in_list * len(videos) + shown, -1)
    wanted = np.where(place >= 0, place * len(videos) + videos.get_indexer(video_ids), -2)
    order = np.argsort(codes, kind="stable")
    ends = np.searchsorted(codes[order], wanted, side="right")
    last = np.append(order, 0)[ends - 1]
    return np.where(np.append(codes, -1)[last] == wanted, last, -1)


def score_and_sources(lines: pa.Array) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
    """Retrieval score and source bitmask of lines of served lists, as the ranker saw them; each `[lines]`.

    A line without a score has 0. A source that this release does not know has no bit.

    >>> [column.tolist() for column in score_and_sources(pa.array([{"scores": [0.5], "sources": ["tower", "fresh"]}]))]
    [[0.5], [17]]
    """
    scores, labels = (Lists.of(pa.chunked_array([pc.struct_field(lines, name)])) for name in ("scores", "sources"))
    first = np.append(scores.values.to_numpy(), 0.0)[scores.ends - scores.lengths]
    known = pc.index_in(labels.values, value_set=pa.array([source.label for source in Source]))
    bits = np.array([*Source, 0], np.int32)[pc.fill_null(known, len(Source)).to_numpy()]
    line = np.repeat(np.arange(len(lines)), labels.lengths)
    sources = np.bincount(line, bits, minlength=len(lines)).astype(np.int32)
    return np.where(scores.lengths > 0, first, 0.0).astype(np.float32), sources
