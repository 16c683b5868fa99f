"""One training as a process of its own, with the settings of its environment.

python -m watchnext.training.main towers EXAMPLES FOLDER

Beside the model, the folder then has what the training tells of itself, `summary.json`.
"""

import json
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import Final

import typer
from torch.distributed.elastic.multiprocessing.errors import record

from watchnext.settings import Settings, load_settings
from watchnext.training.distributed import joined
from watchnext.training.ranker import train_ranker
from watchnext.training.towers import train_towers

_SUMMARY: Final = "summary.json"


class Model(StrEnum):
    """What can be trained."""

    TOWERS = "towers"
    RANKER = "ranker"

    @property
    def train(self) -> Callable[..., dict[str, float]]:
        """What fits it."""
        return {Model.TOWERS: train_towers, Model.RANKER: train_ranker}[self]


def variables_of(settings: Settings) -> dict[str, str]:
    """The environment in which this program reads what a training heeds of `settings`."""
    return {"WATCHNEXT_PROFILE": settings.profile, "WATCHNEXT_TRAINING": settings.training.model_dump_json()}


def summary_of(folder: Path) -> dict[str, float]:
    """What the training told of itself beside the model in `folder`."""
    told: dict[str, float] = json.loads((folder / _SUMMARY).read_text())
    return told


@record  # `torchrun` prints the error of the process that failed first
def main(model: Model, examples: Path, folder: Path) -> None:
    """Fit a model on what `examples` holds, and write it to `folder`."""
    with joined() as share:
        told = model.train(load_settings(), examples, folder, share)
        if share.first:
            (folder / _SUMMARY).write_text(json.dumps(told))


if __name__ == "__main__":
    typer.run(main)
