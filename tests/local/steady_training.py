"""`watchnext.training.main` without dropout, which each process of a training draws for itself.

Each starts at other ids, as processors of another kind find them: their decompositions differ in signs.
"""

import os
from dataclasses import replace
from typing import Any

import pytest
import typer
from torch import Tensor

from watchnext.models.config import ProfileConfig, Sizes, TowerConfig
from watchnext.training import ranker, towers
from watchnext.training.main import main
from watchnext.training.warm_start import start_of_ids

_tower_config = ProfileConfig.tower_config


def without_dropout(monkeypatch: pytest.MonkeyPatch) -> None:
    def tower_config(self: ProfileConfig, sizes: Sizes, until_ms: int) -> TowerConfig:
        return replace(_tower_config(self, sizes, until_ms), id_dropout=0.0)

    monkeypatch.setattr(ProfileConfig, "tower_config", tower_config)


def of_another_processor(*args: Any) -> Tensor:
    return start_of_ids(*args) + int(os.environ["RANK"])


if __name__ == "__main__":
    patch = pytest.MonkeyPatch()
    without_dropout(patch)
    for module in (towers, ranker):
        patch.setattr(module, "start_of_ids", of_another_processor)
    typer.run(main)
