"""One training as a process of its own, with the settings of its environment.

python -m watchnext.training.main towers EXAMPLES FOLDER
"""

from enum import StrEnum
from pathlib import Path

import typer

from watchnext.settings import load_settings
from watchnext.training.distributed import joined
from watchnext.training.ranker import train_ranker
from watchnext.training.towers import train_towers


class Model(StrEnum):
    """What can be trained."""

    TOWERS = "towers"
    RANKER = "ranker"


def main(model: Model, examples: Path, folder: Path) -> None:
    """Fit a model on what `examples` holds, and write it to `folder`."""
    train = {Model.TOWERS: train_towers, Model.RANKER: train_ranker}[model]
    with joined() as share:
        train(load_settings(), examples, folder, share)


if __name__ == "__main__":
    typer.run(main)
