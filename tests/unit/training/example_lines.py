"""Examples written by hand: a set without any, and tower examples, each told apart by its row and its user's hour."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tests.unit.features.world import VOCABULARIES, video_table
from tests.unit.models.model_world import encoded
from watchnext.features.batches import UserColumns
from watchnext.training.example_set import ExampleSet, Meta, Pairs, Queries, TowerExamples
from watchnext.training.lines import LineFile


def example_set(folder: Path, **changes: Any) -> ExampleSet:
    """The three videos of the hand-computed world: nobody met one, nothing is asked; `changes` are other fields."""
    nobody = Pairs(person=np.zeros(0, np.int64), row=np.zeros(0, np.int32))
    fields: dict[str, Any] = {
        "meta": Meta(snapshot="", split_ms=1, end_ms=1, counts={}),
        "vocabularies": VOCABULARIES,
        "videos": video_table(),
        "watches": np.zeros(len(video_table()), np.float32),
        "queries": Queries(users=UserColumns.of([]), seen=[], targets=[]),
        "watched": nobody,
        "met": nobody,
        "met_unlabelled": nobody,
        "country_watches": {},
        "probes": [],
    }
    return ExampleSet(folder=folder, **fields | changes)


def tower_examples(rows: Sequence[int]) -> TowerExamples:
    """Next watches of these rows, a day older each."""
    row = np.array(rows, np.int32)
    users = UserColumns.of([encoded(("film", "song"))]).take(np.zeros(len(row), np.int64))
    return TowerExamples(
        users=dataclasses.replace(users, hour=row % 24), row=row, age_days=np.arange(len(row), dtype=np.float32)
    )


def written(path: Path, *parts: TowerExamples) -> LineFile[TowerExamples]:
    """A file of these parts."""
    file = LineFile(path, TowerExamples)
    with file.writer() as writer:
        for part in parts:
            writer.write(part)
    return file
