import json
from pathlib import Path

import torch
from structlog.testing import capture_logs

from tests.unit.models.model_world import encoded, towers, user_inputs, video_inputs
from tests.unit.training.example_lines import example_set, tower_examples, written
from watchnext.models.losses import sampled_softmax
from watchnext.settings import Settings, Training
from watchnext.training import progress
from watchnext.training.towers import tower_loss, train_towers


def test_the_loss_of_an_epoch_is_not_the_mean_since_the_start(monkeypatch, tmp_path):
    monkeypatch.setattr(progress, "LOGGED_STEPS", 3)  # the steps of an epoch: the curve's means are those of epochs
    write_examples(tmp_path / "examples", [1, 2, 3, 1, 2, 3])
    training = Training(threads=1, tower_epochs=3, batch=2, negatives=4)

    with capture_logs() as logged:
        train_towers(
            Settings(home=tmp_path, profile="tiny", training=training), tmp_path / "examples", tmp_path / "towers"
        )

    curve = json.loads((tmp_path / "towers" / "curve.json").read_text())
    assert [step for step, _ in curve] == [3, 6, 9]
    assert [entry["loss"] for entry in logged] == [round(loss, 4) for _, loss in curve]


def test_in_half_precision_the_logits_of_the_loss_are_whole():
    """The negatives' were a product in bfloat16, the positives' a sum in float32."""
    tower, rows = towers(), torch.arange(1, 4)
    users = user_inputs(encoded(["song"]), encoded(["film"]), encoded([]))
    videos = {name: column[[1, 2, 3, 1, 2, 3]] for name, column in video_inputs().items()}
    drawn = {"negative": rows, "log_q": torch.full((3,), -1.0), "known": torch.zeros(3, 1, dtype=torch.long)}
    batch = {**users, **videos, **drawn, "row": rows}
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        loss, _ = tower_loss(tower, batch)
        asked, vectors = tower.user(batch).float(), tower.videos(batch).float()
    with torch.no_grad():
        whole = sampled_softmax(asked, vectors[:3], rows, vectors[3:], rows, drawn["log_q"], drawn["known"])
    assert torch.equal(loss, whole)


def write_examples(folder: Path, rows: list[int]) -> None:
    """Next watches of these rows, each of another user; nothing for the ranker and nothing to ask."""
    examples = example_set(folder)
    examples.save()
    written(examples.towers.path, tower_examples(rows))
