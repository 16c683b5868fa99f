"""Stage 2: examples. What was true just before each label, encoded as serving encodes it.

A moment is a user at a time with a context. Every moment is joined and encoded once, by the path of serving
(`UserState.from_rows`, `encode_user`, `cross_features`), whatever hangs on it: a next watch, impressions, a query.
"""

import dataclasses
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
import structlog
from numpy.typing import NDArray

from watchnext.clock import DAY_MS
from watchnext.data.labels import label_impressions
from watchnext.data.records import fraction_of
from watchnext.data.splits import split_at_share
from watchnext.errors import DataError
from watchnext.features.state import RequestContext
from watchnext.features.videos import VideoTable
from watchnext.generation.refresh import refresh_interval_floor
from watchnext.models.config import profile_config
from watchnext.settings import Settings
from watchnext.store.apply import apply
from watchnext.training import log
from watchnext.training.example_set import ExampleSet, Meta, Queries, RankerExamples, TowerExamples, Watched
from watchnext.training.labels import HOLDOUT, NEXT_WATCHES, capped, next_watches, queries, ranking_labels
from watchnext.training.moments import Encoder, Impressions, encode_moments
from watchnext.training.snapshot import Snapshot
from watchnext.training.states import counter_rows, counters_as_of, records, user_rows
from watchnext.training.vocabularies import Words, fit_words

PROBES: Final = 100
MOMENT: Final = ["user_id", "now_ms", "as_of_ms", "surface", "device", "country", "seed_video_id"]

_log = structlog.get_logger(__name__)


def build_examples(settings: Settings, snapshot: Snapshot, folder: Path) -> dict[str, int]:
    """Make the examples of `snapshot` in `folder`.

    Returns:
        Counts of what was made.

    Raises:
        DataError: the snapshot has no usable watches or impressions, or none before or after the split.
    """
    config = profile_config(settings.profile, settings.training.model_dump())
    frozen = snapshot.settings(settings)
    apply(frozen)
    watches, catalog = log.watches(snapshot), log.catalog(snapshot)
    labels = next_watches(watches, set(catalog["video_id"]))
    shown = _labelled_impressions(settings, snapshot, watches, set(catalog["video_id"]))
    if labels.empty or shown.empty:
        raise DataError(
            f"the snapshot has {len(labels)} completed watches of catalogue videos and {len(shown)} impressions whose "
            "click window has closed; training wants both: replay more events and let the stream catch up"
        )
    split_ms = split_at_share(labels["now_ms"].to_numpy(), HOLDOUT).cut_ms
    finished = watches[watches["completed"] & (watches["started_at"] < split_ms)]
    past_shown = shown[shown["now_ms"] < split_ms]
    words = fit_words(
        config,
        catalog=catalog,
        profiles=log.profiles(snapshot),
        watches=finished,
        clicked=past_shown[past_shown["clicked"]],
        impressions=past_shown,
        searches=log.searches(snapshot).query("searched_at < @split_ms"),
    )
    videos = _video_table(frozen, catalog, words, refresh_interval_floor(snapshot.end_ms, settings))
    past = labels[(labels["now_ms"] < split_ms) & (labels["now_ms"] >= _oldest_ms(settings, split_ms))]
    past, asked = capped(past, config.cap_per_user), queries(labels, split_ms)
    moments, (past_user, shown_user, asked_user) = _moments(past, shown, asked)

    videos_of = words.vocabularies.videos
    impressions = Impressions(
        moment=shown_user,
        row=videos_of.indices(shown["video_id"]),
        score=shown["score"].to_numpy(),
        sources=shown["sources"].to_numpy(),
        counters=counters_as_of(
            frozen, shown["video_id"], shown["as_of_ms"].map(lambda at_ms: refresh_interval_floor(at_ms, settings))
        ),
    )
    is_asked = np.bincount(asked_user, minlength=len(moments)) > 0
    encoded = encode_moments(Encoder(frozen, words.vocabularies, videos), moments, impressions, is_asked)
    seen = dict(zip(np.flatnonzero(is_asked).tolist(), encoded.seen, strict=True))
    questions = _questions(asked, asked_user, seen, words)
    known = finished["video_id"].isin(set(catalog["video_id"]))
    counts = {
        "tower examples": len(past),
        "impressions": len(shown),
        "held-out impressions": len(shown) - len(past_shown),
        "queries": len(questions.user),
        "users": int(watches["user_id"].nunique()),
        "videos": len(catalog),
    }
    ExampleSet(
        meta=Meta(snapshot=snapshot.id, split_ms=split_ms, end_ms=snapshot.end_ms, counts=counts),
        vocabularies=words.vocabularies,
        videos=videos,
        users=encoded.users,
        towers=TowerExamples(
            user=past_user,
            row=videos_of.indices(past["video_id"]),
            age_days=((split_ms - past["now_ms"].to_numpy()) / DAY_MS).astype(np.float32),
        ),
        ranker=RankerExamples(
            user=shown_user,
            row=impressions.row,
            features=encoded.features,
            clicked=shown["clicked"].to_numpy(),
            seconds=shown["seconds"].to_numpy(np.float32),
            completed=shown["completed"].to_numpy(),
            at_ms=shown["now_ms"].to_numpy(),
            person=pd.factorize(shown["user_id"])[0].astype(np.int64),
        ),
        queries=questions,
        watched=Watched(
            person=pd.factorize(finished["user_id"][known])[0].astype(np.int64),
            row=videos_of.indices(finished["video_id"][known]),
        ),
        country_watches=_country_watches(finished[known], log.profiles(snapshot), words),
        probes=_probes(frozen, watches, snapshot.end_ms),
    ).save(folder)
    _log.info("examples_built", **{name.replace(" ", "_").replace("-", "_"): count for name, count in counts.items()})
    return counts


def _labelled_impressions(
    settings: Settings, snapshot: Snapshot, watches: pd.DataFrame, known: set[str]
) -> pd.DataFrame:
    """Impressions of catalogue videos whose click window has closed, with their labels, times and context."""
    impressions = log.impressions(snapshot)
    window_ms = round(settings.training.click_window_minutes * 60_000)
    labels = label_impressions(impressions, watches, window_ms, snapshot.end_ms)
    labelled = impressions.assign(clicked=labels.clicked, seconds=labels.seconds, completed=labels.completed)
    usable = labelled[labels.closed & labelled["video_id"].isin(known).to_numpy()]
    return ranking_labels(usable.reset_index(drop=True), log.served(snapshot))


def _moments(*labels: pd.DataFrame) -> tuple[pd.DataFrame, list[NDArray[np.int64]]]:
    """The distinct moments of all labels, and for each set of labels the moment of each."""
    together = pd.concat([part[MOMENT] for part in labels], ignore_index=True)
    code = together.groupby(MOMENT, sort=False).ngroup().to_numpy(np.int64)
    ends = np.cumsum([len(part) for part in labels])[:-1]
    return together.drop_duplicates(ignore_index=True), np.split(code, ends)


def _video_table(settings: Settings, catalog: pd.DataFrame, words: Words, at_ms: int) -> VideoTable:
    """All catalogue videos with their counters as of `at_ms`."""
    ids = catalog["video_id"]
    counters = zip(ids, counter_rows(settings, ids, pd.Series(at_ms, index=ids.index)), strict=True)
    return VideoTable.build(
        {entry["video_id"]: entry for entry in records(catalog)},
        {video_id: row for video_id, row in counters if row is not None},
        words.vocabularies,
        words.embedded,
        words.ranked,
        at_ms=at_ms,
    )


def _questions(
    asked: pd.DataFrame, user: NDArray[np.int64], seen: dict[int, NDArray[np.int32]], words: Words
) -> Queries:
    """Queries with at least one target that the user had not seen."""
    kept, seen_rows, targets = [], [], []
    for moment, following in zip(user.tolist(), asked["targets"], strict=True):
        rows = words.vocabularies.videos.indices(following)
        new = rows[~np.isin(rows, seen[moment])][:NEXT_WATCHES]
        if len(new):
            kept.append(moment)
            seen_rows.append(seen[moment])
            targets.append(new)
    if not kept:
        raise DataError("no held-out watch is of a video that its user had not seen: replay a longer stretch of events")
    return Queries(user=np.array(kept, np.int64), seen=seen_rows, targets=targets)


def _country_watches(finished: pd.DataFrame, profiles: pd.DataFrame, words: Words) -> dict[str, NDArray[np.float32]]:
    """Watches of each video by the country of the watch, else of the profile."""
    at_home = finished["user_id"].map(profiles.set_index("user_id")["country"]).fillna("")
    country = finished["country"].where(finished["country"] != "", at_home)
    rows = words.vocabularies.videos.indices(finished["video_id"])
    size = words.vocabularies.videos.size
    return {
        name: np.bincount(rows[(country == name).to_numpy()], minlength=size).astype(np.float32)
        for name in words.vocabularies.countries.tokens
    }


def _probes(settings: Settings, watches: pd.DataFrame, end_ms: int) -> list[dict[str, Any]]:
    """Rows of `PROBES` users at the end of the snapshot, each with the request to answer."""
    users = sorted(set(watches["user_id"]), key=lambda user_id: fraction_of("probe", user_id))[:PROBES]
    context = dataclasses.asdict(RequestContext(now_ms=end_ms))
    rows = user_rows(settings, pd.DataFrame({"user_id": users, "as_of_ms": end_ms}))
    return [{"row": _plain(row), "context": context} for row in rows]


def _plain(row: dict[str, Any]) -> dict[str, Any]:
    """A row as JSON values, without what the user has no row for."""
    values = {
        name: value.tolist() if isinstance(value, np.ndarray | np.generic) else value for name, value in row.items()
    }
    return {name: value for name, value in values.items() if isinstance(value, list) or not pd.isna(value)}


def _oldest_ms(settings: Settings, split_ms: int) -> int:
    days = settings.training.max_age_days
    return split_ms - round(days * DAY_MS) if days else 0
