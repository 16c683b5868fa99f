import json

import numpy as np
from structlog.testing import capture_logs

from tests.unit.features.world import VOCABULARIES, video_table
from tests.unit.models.model_world import encoded
from watchnext.features.spec import RANKER_FEATURES
from watchnext.settings import Settings, Training
from watchnext.training import progress
from watchnext.training.encoded import EncodedUsers
from watchnext.training.example_set import ExampleSet, Meta, Pairs, Queries, RankerExamples, TowerExamples
from watchnext.training.towers import train_towers


def test_the_loss_of_an_epoch_is_not_the_mean_since_the_start(monkeypatch, tmp_path):
    monkeypatch.setattr(progress, "LOGGED_STEPS", 3)  # the steps of an epoch: the curve's means are those of epochs
    examples([1, 2, 3, 1, 2, 3]).save(tmp_path / "examples")
    training = Training(threads=1, tower_epochs=3, batch=2, negatives=4)

    with capture_logs() as logged:
        train_towers(
            Settings(home=tmp_path, profile="tiny", training=training), tmp_path / "examples", tmp_path / "towers"
        )

    curve = json.loads((tmp_path / "towers" / "curve.json").read_text())
    assert [step for step, _ in curve] == [3, 6, 9]
    assert [entry["loss"] for entry in logged] == [round(loss, 4) for _, loss in curve]


def examples(rows: list[int]) -> ExampleSet:
    """Next watches of these rows, each of another user; nothing for the ranker and nothing to ask."""
    none, no_rows = np.zeros(0, np.int64), np.zeros(0, np.int32)
    return ExampleSet(
        meta=Meta(snapshot="", split_ms=1, end_ms=1, counts={}),
        vocabularies=VOCABULARIES,
        videos=video_table(),
        users=EncodedUsers.of(encoded() for _ in rows),
        towers=TowerExamples(
            user=np.arange(len(rows)), row=np.array(rows, np.int32), age_days=np.zeros(len(rows), np.float32)
        ),
        ranker=RankerExamples(
            user=none,
            row=no_rows,
            features=np.zeros((0, len(RANKER_FEATURES)), np.float32),
            clicked=np.zeros(0, bool),
            seconds=np.zeros(0, np.float32),
            completed=np.zeros(0, bool),
            at_ms=none,
            person=none,
        ),
        queries=Queries(user=none, seen=[], targets=[]),
        watched=Pairs(person=none, row=no_rows),
        met=Pairs(person=none, row=no_rows),
        country_watches={},
        probes=[],
    )
