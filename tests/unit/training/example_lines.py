"""Tower examples written by hand: as many as asked for, each told apart by its row, which its user's hour repeats."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tests.unit.models.model_world import encoded
from watchnext.features.batches import UserColumns
from watchnext.training.example_set import TowerExamples
from watchnext.training.lines import LineFile


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
