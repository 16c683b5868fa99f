import json
from pathlib import Path

from structlog.testing import capture_logs

from tests.unit.training.example_lines import example_set, tower_examples, written
from watchnext.settings import Settings, Training
from watchnext.training import progress
from watchnext.training.towers import train_towers


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


def write_examples(folder: Path, rows: list[int]) -> None:
    """Next watches of these rows, each of another user; nothing for the ranker and nothing to ask."""
    examples = example_set(folder)
    examples.save()
    written(examples.towers.path, tower_examples(rows))
