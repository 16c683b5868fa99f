"""Examples to train on that need no log: a thousand videos and more, so that their embedding is a big one."""

from pathlib import Path

import numpy as np

from tests.unit.features.world import NOW, VOCABULARIES, catalog_row, counted
from watchnext.features.batches import UserColumns
from watchnext.features.spec import RANKER_FEATURES
from watchnext.features.state import EncodedUser, RequestContext, UserState, encode_user
from watchnext.features.videos import VideoTable
from watchnext.features.vocabulary import Vocabularies, Vocabulary
from watchnext.training.example_set import ExampleSet, Meta, Pairs, Queries, RankerExamples, TowerExamples

VIDEOS, EXAMPLES, KINDS = 1_200, 600, 20
VIDEO_IDS = [f"video-{number}" for number in range(VIDEOS)]


def write_examples(folder: Path) -> None:
    """Users who watch on among the videos whose number leaves the same rest by KINDS."""
    generator = np.random.default_rng(0)
    vocabularies = Vocabularies(**{**vars(VOCABULARIES), "videos": Vocabulary(VIDEO_IDS)})
    embedded = Vocabulary(VIDEO_IDS)
    catalog = {video: catalog_row() for video in VIDEO_IDS}
    table = VideoTable.build(catalog, counted({}, VIDEO_IDS, NOW), vocabularies, embedded, embedded, at_ms=NOW)
    kind = generator.integers(KINDS, size=EXAMPLES)
    watched = kind[:, None] + KINDS * generator.integers(VIDEOS // KINDS, size=(EXAMPLES, 5))  # the last comes next
    users = [_user([VIDEO_IDS[number] for number in line], vocabularies) for line in watched[:, :4].tolist()]
    seconds = generator.exponential(30, EXAMPLES).astype(np.float32)
    columns, rows = UserColumns.of(users), (watched[:, 4] + 1).astype(np.int32)
    nobody = Pairs(person=np.zeros(0, np.int64), row=np.zeros(0, np.int32))
    examples = ExampleSet(
        folder=folder,
        meta=Meta(snapshot="trainable", split_ms=NOW, end_ms=NOW, counts={}),
        vocabularies=vocabularies,
        videos=table,
        watches=table.watches,
        queries=Queries(users=columns.take(slice(0)), seen=[], targets=[]),
        watched=nobody,
        met=nobody,
        met_unlabelled=nobody,
        country_watches={},
        probes=[],
    )
    impressions = RankerExamples(
        users=columns,
        row=rows,
        features=generator.random((EXAMPLES, len(RANKER_FEATURES)), dtype=np.float32),
        clicked=seconds > 10,
        seconds=np.where(seconds > 10, seconds, np.float32(0)),
        completed=seconds > 40,
        at_ms=np.full(EXAMPLES, NOW - 1),
        person=np.arange(EXAMPLES),
    )
    examples.save()
    with examples.towers.writer() as towers, examples.ranker.writer() as ranker:
        towers.write(TowerExamples(users=columns, row=rows, age_days=np.zeros(EXAMPLES, np.float32)))
        ranker.write(impressions)


def _user(history: list[str], vocabularies: Vocabularies) -> EncodedUser:
    times = [NOW - 10 + at for at in range(len(history))]
    ones = [1.0] * len(history)
    state = UserState(watch_video_ids=history, watch_seconds=ones, watch_fractions=ones, watch_times=times)
    return encode_user(state, RequestContext(now_ms=NOW), vocabularies)
