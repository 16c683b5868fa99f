"""Tower examples written by hand: as many as asked for, each told apart by its row and its user."""

from pathlib import Path

import numpy as np

from tests.unit.models.model_world import encoded
from watchnext.features.batches import UserColumns
from watchnext.training.example_set import TowerExamples
from watchnext.training.lines import LineFile


def tower_examples(rows: list[int], watched: tuple[str, ...] = ("film", "song")) -> TowerExamples:
    """Next watches of these rows, a day older each."""
    return TowerExamples(
        users=UserColumns.of([encoded(watched)] * len(rows)),
        row=np.array(rows, np.int32),
        age_days=np.arange(len(rows), dtype=np.float32),
    )


def written(path: Path, *parts: TowerExamples) -> LineFile[TowerExamples]:
    """A file of these parts."""
    file = LineFile(path, TowerExamples)
    with file.writer() as writer:
        for part in parts:
            writer.write(part)
    return file
