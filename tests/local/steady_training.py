"""`watchnext.training.main` without dropout, which each process of a training draws for itself."""

from dataclasses import replace

import pytest
import typer

from watchnext.models.config import ProfileConfig, Sizes, TowerConfig
from watchnext.training.main import main

_tower_config = ProfileConfig.tower_config


def without_dropout(monkeypatch: pytest.MonkeyPatch) -> None:
    def tower_config(self: ProfileConfig, sizes: Sizes, until_ms: int) -> TowerConfig:
        return replace(_tower_config(self, sizes, until_ms), id_dropout=0.0)

    monkeypatch.setattr(ProfileConfig, "tower_config", tower_config)


if __name__ == "__main__":
    without_dropout(pytest.MonkeyPatch())
    typer.run(main)
