import dataclasses
from pathlib import Path

import numpy as np
import torch

from tests.unit.features.world import video_table
from tests.unit.models.model_world import encoded
from tests.unit.training.example_lines import example_set
from watchnext.features.batches import UserColumns
from watchnext.features.spec import RANKER_FEATURES
from watchnext.models import layers
from watchnext.settings import Settings, Training
from watchnext.training.example_set import RankerExamples
from watchnext.training.ranker import load_ranker, train_ranker

SHOWN = 60  # impressions of the video of row 1; one of row 2, and none of row 3


def test_an_id_moves_the_further_the_more_impressions_show_it(monkeypatch, tmp_path):
    monkeypatch.setattr(layers, "SPARSE_ROWS", 1)  # every embedding is big
    write_examples(tmp_path / "examples")
    start, moved = (trained(tmp_path, id_rate) for id_rate in (1e-30, 0.5))  # 0 leaves the profile's

    videos = (moved.video_embedding.weight - start.video_embedding.weight).norm(dim=1)[[1, 2, 3]]
    assert videos[0] > 3 * videos[1] > 0
    assert videos[2] == 0  # in the histories of all, and never shown
    channels = (moved.channel_embedding.weight - start.channel_embedding.weight).norm(dim=1)
    assert channels[1] > 0


def trained(home: Path, id_rate: float) -> torch.nn.Module:
    training = Training(threads=1, epochs=2, batch=16, id_rate=id_rate, learning_rate=1e-6)
    train_ranker(Settings(home=home, profile="tiny", training=training), home / "examples", home / str(id_rate))
    ranker, _ = load_ranker(home / str(id_rate))
    return ranker


def write_examples(folder: Path) -> None:
    """Impressions of two videos to a user who watched the third; every other one was clicked and seen to its end."""
    rows = np.array([1] * SHOWN + [2], np.int32)
    clicked = np.arange(len(rows)) % 2 == 0
    videos = video_table()
    examples = example_set(
        folder, videos=dataclasses.replace(videos, ranking_embedding=np.arange(len(videos), dtype=np.int32))
    )
    examples.save()
    with examples.ranker.writer() as file:
        file.write(
            RankerExamples(
                users=UserColumns.of([encoded(("news",), last_query="cats")]).take(np.zeros(len(rows), np.int64)),
                row=rows,
                features=np.zeros((len(rows), len(RANKER_FEATURES)), np.float32),
                clicked=clicked,
                seconds=np.where(clicked, 30, 0).astype(np.float32),
                completed=clicked,
                at_ms=np.zeros(len(rows), np.int64),
                person=np.zeros(len(rows), np.int64),
            )
        )
