"""Stage 2: examples. What was true just before each label, encoded as serving encodes it.

A moment is a user at a time with a context. Every moment is joined and encoded once, by the path of serving
(`features.state`, `cross_features`), whatever hangs on it: a next watch, impressions, a query.
"""

import dataclasses
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
import structlog
from numpy.typing import NDArray

from watchnext.clock import DAY_MS
from watchnext.data.records import fraction_of
from watchnext.errors import DataError
from watchnext.features.averages import Averages
from watchnext.features.state import RequestContext
from watchnext.features.videos import COUNTERS, VideoTable
from watchnext.features.vocabulary import Vocabulary
from watchnext.generation.interval import refresh_interval_floor
from watchnext.models.config import ProfileConfig, profile_config
from watchnext.settings import Settings
from watchnext.store.apply import apply
from watchnext.training import log
from watchnext.training.counters import Deltas
from watchnext.training.example_set import (
    ExampleFiles,
    ExampleSet,
    Meta,
    Pairs,
    Queries,
    RankerExamples,
    TowerExamples,
)
from watchnext.training.item_item import fit_item_item
from watchnext.training.labels import NEXT_WATCHES
from watchnext.training.moments import Encoded, Encoder, Impressions, encode_moments
from watchnext.training.snapshot import Snapshot
from watchnext.training.split import SplitLog, split_log
from watchnext.training.states import records, user_rows
from watchnext.training.vocabularies import Words, fit_averages, fit_words

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
    events = split_log(settings, snapshot, config.cap_per_user)
    words = _words_before_the_split(config, snapshot, events)
    rows = words.vocabularies.videos
    deltas = Deltas.read(frozen, snapshot.end_ms)
    averages = fit_averages(events.past_shown, events.catalog)
    videos = _video_table(deltas, events.catalog, words, averages, refresh_interval_floor(snapshot.end_ms, settings))

    moments, (shown, learnt, asked) = _moments(events.shown, events.learnt, events.asked)
    shown = shown.assign(row=rows.indices(shown["video_id"]), person=pd.factorize(shown["user_id"])[0])
    is_asked = np.bincount(asked["moment"], minlength=len(moments)) > 0
    encoder = Encoder(frozen, words.vocabularies, videos)
    files = ExampleFiles(folder=folder)
    questions = []
    with files.towers.writer() as towers, files.ranker.writer() as ranker, files.held_out.writer() as held_out:
        for part in encode_moments(encoder, moments, _impressions(frozen, deltas, shown), is_asked):
            towers.write(_tower_examples(_within(learnt, part), part, rows, events.split_ms))
            impressions = _ranker_examples(_within(shown, part), part)
            past = impressions.at_ms < events.split_ms
            ranker.write(impressions.take(past))
            held_out.write(impressions.take(~past))
            questions.append(_questions(_within(asked, part), part, rows))
    queries = _some(Queries.joined(questions))
    counts = _counts(events, queries)
    met = _pairs(events.met, rows)
    files.save_item_item(fit_item_item(met, videos=len(videos) - 1))
    ExampleSet(
        folder=folder,
        meta=Meta(
            snapshot=snapshot.id,
            split_ms=events.split_ms,
            end_ms=snapshot.end_ms,
            counts=counts,
            settings=heeded(settings),
        ),
        vocabularies=words.vocabularies,
        videos=videos,
        watches=_watches(deltas, videos, refresh_interval_floor(events.split_ms - 1, settings)),
        queries=queries,
        watched=_pairs(events.watched, rows),
        met=met,
        met_unlabelled=_pairs(events.met_unlabelled, rows),
        country_watches=_country_watches(events.watched, events.profiles, words),
        probes=_probes(frozen, events.watches, snapshot.end_ms),
    ).save()
    _log.info("examples_built", **{name.replace(" ", "_").replace("-", "_"): count for name, count in counts.items()})
    return counts


def heeded(settings: Settings) -> dict[str, float]:
    """The settings that change examples and not always their number: a checkpoint of others is of other data."""
    training = settings.training
    return {
        "click_window_minutes": training.click_window_minutes,
        "max_age_days": training.max_age_days,
        "refresh_minutes": settings.generations.refresh_minutes,
    }


def _words_before_the_split(config: ProfileConfig, snapshot: Snapshot, events: SplitLog) -> Words:
    """The vocabularies, of what the training part knows."""
    searches, past_shown = log.searches(snapshot), events.past_shown
    return fit_words(
        config,
        catalog=events.catalog,
        profiles=events.profiles,
        watches=events.finished,
        clicked=past_shown[past_shown["clicked"]],
        impressions=past_shown,
        searches=searches[searches["searched_at"] < events.split_ms],
    )


def _moments(*labels: pd.DataFrame) -> tuple[pd.DataFrame, list[pd.DataFrame]]:
    """The distinct moments of all labels, as they first come; and each set of labels by the number of its `moment`."""
    together = pd.concat([part[MOMENT] for part in labels], ignore_index=True)
    code = together.groupby(MOMENT, sort=False).ngroup().to_numpy(np.int64)
    ends = np.cumsum([len(part) for part in labels])[:-1]
    numbered = [part.assign(moment=moment) for part, moment in zip(labels, np.split(code, ends), strict=True)]
    in_order = [part.sort_values("moment", kind="stable", ignore_index=True) for part in numbered]
    return together.drop_duplicates(ignore_index=True), in_order


def _within(labels: pd.DataFrame, part: Encoded) -> pd.DataFrame:
    """The labels of a part's moments, counted within the part."""
    first, end = np.searchsorted(labels["moment"], [part.first, part.first + len(part.users)])
    inside = labels.iloc[first:end]
    return inside.assign(moment=inside["moment"] - part.first)


def _video_table(deltas: Deltas, catalog: pd.DataFrame, words: Words, averages: Averages, at_ms: int) -> VideoTable:
    """All catalogue videos with their counters as of `at_ms`."""
    return VideoTable.build(
        {entry["video_id"]: entry for entry in records(catalog)},
        deltas.at(words.vocabularies.videos.tokens, at_ms),
        words.vocabularies,
        words.embedded,
        words.ranked,
        at_ms=at_ms,
        averages=averages,
    )


def _watches(deltas: Deltas, videos: VideoTable, at_ms: int) -> NDArray[np.float32]:
    """The decayed watches of each video of the table at `at_ms`, `[videos]`."""
    return deltas.at(videos.video_ids, at_ms)[:, COUNTERS.index("watches")]


def _impressions(settings: Settings, deltas: Deltas, shown: pd.DataFrame) -> Impressions:
    """What was shown at each moment, with the counters that serving had then."""
    at_ms = shown["as_of_ms"].map(lambda as_of_ms: refresh_interval_floor(as_of_ms, settings))
    return Impressions(
        moment=shown["moment"].to_numpy(),
        row=shown["row"].to_numpy(),
        score=shown["score"].to_numpy(),
        sources=shown["sources"].to_numpy(),
        counters=deltas.as_of(shown["video_id"], at_ms),
    )


def _tower_examples(learnt: pd.DataFrame, part: Encoded, videos: Vocabulary, split_ms: int) -> TowerExamples:
    """The next watches of a part, with their age when the training part ended."""
    return TowerExamples(
        users=part.users.take(learnt["moment"].to_numpy()),
        row=videos.indices(learnt["video_id"]),
        age_days=((split_ms - learnt["now_ms"].to_numpy()) / DAY_MS).astype(np.float32),
    )


def _ranker_examples(shown: pd.DataFrame, part: Encoded) -> RankerExamples:
    """The impressions of a part and what became of them."""
    return RankerExamples(
        users=part.users.take(shown["moment"].to_numpy()),
        row=shown["row"].to_numpy(),
        features=part.features,
        clicked=shown["clicked"].to_numpy(),
        seconds=shown["seconds"].to_numpy(np.float32),
        completed=shown["completed"].to_numpy(),
        at_ms=shown["now_ms"].to_numpy(),
        person=shown["person"].to_numpy(),
    )


def _questions(asked: pd.DataFrame, part: Encoded, videos: Vocabulary) -> Queries:
    """The queries of a part with at least one target that the user had not seen."""
    kept, seen, targets = [], [], []
    for moment, following in zip(asked["moment"].tolist(), asked["targets"], strict=True):
        rows = videos.indices(following)
        new = rows[~np.isin(rows, part.seen[moment])][:NEXT_WATCHES]
        if len(new):
            kept.append(moment)
            seen.append(part.seen[moment])
            targets.append(new)
    return Queries(users=part.users.take(np.array(kept, np.int64)), seen=seen, targets=targets)


def _some(questions: Queries) -> Queries:
    if not len(questions.users):
        raise DataError("no held-out watch is of a video that its user had not seen: replay a longer stretch of events")
    return questions


def _pairs(events: pd.DataFrame, videos: Vocabulary) -> Pairs:
    """Who and which video, of events."""
    return Pairs(person=pd.factorize(events["user_id"])[0].astype(np.int64), row=videos.indices(events["video_id"]))


def _counts(events: SplitLog, questions: Queries) -> dict[str, int]:
    """How many there are of what."""
    return {
        "tower examples": len(events.learnt),
        "impressions": len(events.shown),
        "held-out impressions": len(events.shown) - len(events.past_shown),
        "queries": len(questions.users),
        "users": int(events.watches["user_id"].nunique()),
        "videos": len(events.catalog),
    }


def _country_watches(watches: pd.DataFrame, profiles: pd.DataFrame, words: Words) -> dict[str, NDArray[np.float32]]:
    """Watches of each video by the country of the watch, else of the profile."""
    at_home = watches["user_id"].map(profiles.set_index("user_id")["country"]).fillna("")
    country = watches["country"].where(watches["country"] != "", at_home)
    rows = words.vocabularies.videos.indices(watches["video_id"])
    size = words.vocabularies.videos.size
    return {
        name: np.bincount(rows[(country == name).to_numpy()], minlength=size).astype(np.float32)
        for name in words.vocabularies.countries.tokens
    }


def _probes(settings: Settings, watches: pd.DataFrame, end_ms: int) -> list[dict[str, Any]]:
    """Rows of `PROBES` users at the end of the snapshot, each with the request to answer."""
    users = sorted(set(watches["user_id"]), key=lambda user_id: fraction_of("probe", user_id))[:PROBES]
    context = dataclasses.asdict(RequestContext(now_ms=end_ms))
    rows = user_rows(settings, pd.DataFrame({"user_id": users, "as_of_ms": end_ms})).to_pylist()
    return [
        {"row": {name: value for name, value in row.items() if value is not None}, "context": context} for row in rows
    ]
