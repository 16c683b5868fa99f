"""Our towers on a split: its files as an example set, the product's own training, ranked lists as the peers write them.

The towers read what the product's would have at that moment: the last watches and the last videos shown, hour, and what
a profile says. What is derived, the untimed history, is history and part of the start of the ids, and no label.

Where each user has a cut of their own, an example's age counts to that cut, at which they are asked, and what came
before a watch is what the split's order puts there: half of MovieLens-1M has the time of the watch before it.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from benchmarks.quality.split_files import DEPTH, Split, lists_of
from watchnext.clock import DAY_MS, HOUR_MS
from watchnext.data.records import fraction_of
from watchnext.evaluation.baselines import ranked_rows
from watchnext.evaluation.tower_lists import nearest, user_vectors, video_vectors
from watchnext.features.batches import UserColumns
from watchnext.features.spec import HISTORY
from watchnext.features.videos import COUNTERS, VideoTable
from watchnext.features.vocabulary import Vocabularies
from watchnext.models.config import ProfileConfig, profile_config
from watchnext.settings import Settings
from watchnext.training.example_set import ExampleFiles, ExampleSet, Meta, Pairs, Queries, TowerExamples
from watchnext.training.towers import load_towers, train_towers
from watchnext.training.vocabularies import Words, fit_words

LABELS_FROM: Final = 2  # a user's first watch has no history to tell it by

Events = dict[int, tuple[NDArray[np.int64], NDArray[np.int64]]]  # user to videos and times, in order


def towers_lists(settings: Settings, split: Split, folder: Path) -> NDArray[np.int32]:
    """Train the towers on `split` in `folder`, and answer its queries: `[queries, DEPTH]` rows of the split."""
    examples = folder / "examples"
    write_examples(settings, split, examples)
    train_towers(settings, examples, folder / "towers")
    return answers(ExampleSet.load(examples), folder / "towers", split)


def answers(data: ExampleSet, towers: Path, split: Split) -> NDArray[np.int32]:
    """Exact inner products of every query with every video, without what the user has seen."""
    tower, asked = load_towers(towers), data.queries
    users, vectors = user_vectors(tower, asked.users, data.videos), video_vectors(tower, data.videos)
    return split_rows(data, split)[nearest(users, vectors, asked.seen, DEPTH)]


def ranked(data: ExampleSet, split: Split, scores: Callable[[slice], NDArray[np.floating]]) -> NDArray[np.int32]:
    """The best `DEPTH` rows of the split a query, by `scores` `[queries of a part, videos]`, without what was seen."""
    return split_rows(data, split)[ranked_rows(scores, data.queries.seen, DEPTH)]


def write_examples(settings: Settings, split: Split, folder: Path) -> None:
    """The split as an example set: next watches of the training part, capped a user, and the split's queries."""
    config = profile_config(settings.profile, settings.training.model_dump())
    log = TrainingLog(split)
    words = log.words(config)
    rows = np.concatenate([[0], words.vocabularies.videos.indices(log.video_ids)]).astype(np.int32)
    labels = log.labels(config.cap_per_user)
    who, at_ms, before = (labels[name].to_numpy() for name in ("user", "at_ms", "before"))
    examples = TowerExamples(
        users=log.users(who, at_ms, before, words.vocabularies, rows),
        row=rows[labels["video"]],
        age_days=((log.asked_ms(who) - at_ms) / DAY_MS).astype(np.float32),
    )
    with ExampleFiles(folder=folder).towers.writer() as towers:
        towers.write(examples)
    asked = split.queries["user"].to_numpy()
    asked_ms = log.asked_ms(asked)
    met = Pairs(person=log.met["user"].to_numpy(), row=rows[log.met["video"]])
    none = np.zeros((len(words.vocabularies.videos.tokens), len(COUNTERS)), np.float32)
    videos = VideoTable.build(log.catalog(), none, words.vocabularies, words.embedded, words.ranked, at_ms=log.end_ms)
    ExampleSet(
        folder=folder,
        meta=Meta(snapshot=split.name, split_ms=log.end_ms, end_ms=log.end_ms, counts={"tower examples": len(labels)}),
        vocabularies=words.vocabularies,
        videos=videos,
        watches=videos.watches,  # none: `merged.lists`, which reads them, counts them
        queries=Queries(
            users=log.users(asked, asked_ms, log.watched_before(asked, asked_ms), words.vocabularies, rows),
            seen=[rows[seen] for seen in lists_of(split.queries["seen"])],
            targets=[rows[targets] for targets in lists_of(split.queries["targets"])],
        ),
        watched=Pairs(person=log.watched["user"].to_numpy(), row=rows[log.watched["video"]]),
        met=met,
        met_unlabelled=met,  # there are no examples of a ranker
        country_watches={},
        probes=[],
    ).save()


class TrainingLog:
    """What a split lets a contender read, by user."""

    def __init__(self, split: Split) -> None:
        self._videos = split.tables["videos"].to_pandas()
        self._users = split.tables["users"].to_pandas()
        self.watched = split.interactions.to_pandas()
        shown = split.tables.get("exposures")
        self.met = self.watched if shown is None else shown.to_pandas()
        self._watches = _by_user(self.watched)
        self._shown = {} if shown is None else _by_user(self.met)
        self._cut_ms = split.cut_ms
        self.end_ms = split.cut_ms or int(self.watched["at_ms"].max()) + 1

    @property
    def video_ids(self) -> list[str]:
        """Of the split's rows 1 to N."""
        return list(self._videos["video_id"])

    def words(self, config: ProfileConfig) -> Words:
        """The vocabularies, of the training part."""
        ids = np.array(["", *self.video_ids], dtype=object)
        context = {"country": "", "device": "", "surface": ""}
        watches = pd.DataFrame({"video_id": ids[self.watched["video"]]}).assign(**context)
        profiles = self._users.assign(country="", device="")
        nothing = pd.DataFrame({"query": [], "video_id": []})
        return fit_words(
            config,
            catalog=self._videos.assign(language="", restricted_countries=[()] * len(self._videos)),
            profiles=profiles if "gender" in profiles else profiles.assign(gender=""),
            watches=watches,
            clicked=nothing,
            impressions=watches,
            searches=nothing,
        )

    def catalog(self) -> dict[str, dict[str, Any]]:
        """Columns of a catalogue row by video id."""
        return {
            video.video_id: {
                "channel_id": video.channel_id,
                "topics": list(video.topics),
                "language": "",
                "uploaded_at": video.uploaded_ms,
                "video_seconds": video.seconds,
                "title": "",
                "restricted_countries": [],
            }
            for video in self._videos.itertuples()
        }

    def labels(self, per_user: int) -> pd.DataFrame:
        """Watches with a time of their own and something before them; at most `per_user` a user, drawn by a hash.

        `before` is how many watches of the user a label is told by.
        """
        nth = self.watched.groupby("user").cumcount()
        at_ms = self.watched["at_ms"].to_numpy()
        before = nth if self._cut_ms is None else self.watched_before(self.watched["user"].to_numpy(), at_ms)
        kept = self.watched.assign(before=before)[~self.watched["derived"] & (nth >= LABELS_FROM - 1)]
        draw = [fraction_of("cap", f"{one.user}-{one.at_ms}-{one.video}") for one in kept.itertuples()]
        drawn = kept.iloc[np.argsort(draw, kind="stable")]
        taken: pd.DataFrame = drawn.groupby("user", sort=False).head(per_user).sort_index().reset_index(drop=True)
        return taken

    def asked_ms(self, users: NDArray[np.int32]) -> NDArray[np.int64]:
        """When each of these is asked: at the cut, or just after the last watch."""
        if self._cut_ms is not None:
            return np.full(len(users), self._cut_ms)
        return np.array([self._watches[user][1][-1] + 1 for user in users.tolist()])

    def watched_before(self, users: NDArray[np.int32], at_ms: NDArray[np.int64]) -> NDArray[np.int64]:
        """How many watches each of these had before a time."""
        return _before(self._watches, users, at_ms)

    def users(
        self,
        users: NDArray[np.int32],
        at_ms: NDArray[np.int64],
        watches: NDArray[np.int64],
        vocabularies: Vocabularies,
        rows: NDArray[np.int32],
    ) -> UserColumns:
        """Each user as of just before a time, after so many `watches`; `rows` are the video table's of the split's."""
        people = self._users.iloc[users]
        nothing = np.zeros(len(users), np.int32)
        told = "gender" in people
        return UserColumns(
            history=rows[_bags(self._watches, users, watches)],
            shown=rows[_bags(self._shown, users, _before(self._shown, users, at_ms))],
            search_tokens=np.zeros((len(users), HISTORY), np.int32),
            query_tokens=np.zeros((len(users), HISTORY), np.int32),
            country=nothing,
            device=nothing,
            gender=vocabularies.genders.indices(people["gender"]) if told else nothing,
            surface=nothing,
            seed=nothing,
            logged_in=nothing,
            hour=(at_ms // HOUR_MS % 24).astype(np.int32),
            age=people["age"].to_numpy(np.float32) if told else np.full(len(users), -1, np.float32),
        )


def _by_user(events: pd.DataFrame) -> Events:
    """Videos and times of each user, in order."""
    users = events["user"].to_numpy()
    order = np.argsort(users, kind="stable")
    ends = np.flatnonzero(np.diff(users[order])) + 1
    videos, times = (np.split(events[name].to_numpy(np.int64)[order], ends) for name in ("video", "at_ms"))
    return dict(zip(users[order][np.concatenate([[0], ends])].tolist(), zip(videos, times, strict=True), strict=True))


def _before(events: Events, users: NDArray[np.int32], at_ms: NDArray[np.int64]) -> NDArray[np.int64]:
    """How many events each user had before a time."""
    pairs = zip(users.tolist(), at_ms.tolist(), strict=True)
    return np.array([np.searchsorted(events[user][1], at) if user in events else 0 for user, at in pairs], np.int64)


def _bags(events: Events, users: NDArray[np.int32], ends: NDArray[np.int64]) -> NDArray[np.int64]:
    """The last `HISTORY` videos of the first so many events of each user, old to new, zeros at the end."""
    bags = np.zeros((len(users), HISTORY), np.int64)
    for line, (user, end) in enumerate(zip(users.tolist(), ends.tolist(), strict=True)):
        if user in events:
            taken = events[user][0][max(end - HISTORY, 0) : end]
            bags[line, : len(taken)] = taken
    return bags


def split_rows(data: ExampleSet, split: Split) -> NDArray[np.int32]:
    """The split's row of each row of the video table."""
    at = {video_id: row for row, video_id in enumerate(split.tables["videos"]["video_id"].to_pylist(), start=1)}
    return np.array([at.get(video_id, 0) for video_id in data.videos.video_ids], np.int32)
