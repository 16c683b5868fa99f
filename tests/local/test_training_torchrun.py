"""One training by two processes of a real `torchrun`, against the same one by one process."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from tests.local.steady_training import without_dropout
from tests.local.trainable import write_examples
from watchnext.errors import TrainingError
from watchnext.settings import Settings, Training
from watchnext.training.main import Model
from watchnext.training.on_node import train_on_node
from watchnext.training.ranker import train_ranker
from watchnext.training.towers import train_towers

LAUNCHER = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
TRAINING = Training(threads=1, epochs=4, tower_epochs=4, batch=32, negatives=100)


UNEVEN = """
import torch
from watchnext.training.distributed import check_same_step, joined
with joined() as share:
    check_same_step(40 + share.rank, share, torch.device("cpu"))
"""


def by_two(model: str, tmp_path: Path) -> str:
    """Train into `two`; what all processes logged."""
    changed = TRAINING.model_dump(exclude_defaults=True).items()
    variables = {f"WATCHNEXT_TRAINING__{name.upper()}": str(value) for name, value in changed}
    variables |= {"WATCHNEXT_HOME": str(tmp_path / "home-of-two"), "WATCHNEXT_PROFILE": "tiny"}
    module = ["-m", "tests.local.steady_training", model, str(tmp_path / "examples"), str(tmp_path / "two")]
    done = subprocess.run([*LAUNCHER, *module], env={**os.environ, **variables}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def curve(folder: Path) -> tuple[list[int], list[float]]:
    steps, losses = zip(*json.loads((folder / "curve.json").read_text()), strict=True)
    return list(steps), list(losses)


@pytest.mark.parametrize(("model", "train"), [("towers", train_towers), ("ranker", train_ranker)])
def test_two_processes_make_the_steps_of_one(model, train, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    without_dropout(monkeypatch)
    write_examples(tmp_path / "examples")
    train(Settings(home=tmp_path, profile="tiny", training=TRAINING), tmp_path / "examples", tmp_path / "one")

    logged = by_two(model, tmp_path)

    assert logged.count(f"{model}_epoch") == TRAINING.epochs  # one of them logs
    (steps, losses), (of_two, losses_of_two) = curve(tmp_path / "one"), curve(tmp_path / "two")
    assert steps == of_two
    np.testing.assert_allclose(losses_of_two, losses, rtol=1e-3)
    one, two = (load_file(tmp_path / name / "weights.safetensors") for name in ("one", "two"))
    np.testing.assert_allclose(two["video_embedding.weight"], one["video_embedding.weight"], atol=1e-3)


def test_a_step_trains_by_as_many_processes_as_its_node_has_accelerators(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    write_examples(tmp_path / "examples")
    monkeypatch.setenv("watchnext_training__epochs", "2")  # goes before no setting of the run
    settings = Settings(home=tmp_path, profile="tiny", training=TRAINING.model_copy(update={"epochs": 1}))

    told = train_on_node(settings, Model.RANKER, tmp_path / "examples", tmp_path / "two", processes=2)

    alone = train_on_node(settings, Model.RANKER, tmp_path / "examples", tmp_path / "one")  # no accelerator here
    assert (told["steps"], told["impressions"]) == (alone["steps"], alone["impressions"])
    assert not (tmp_path / "one" / "summary.json").exists()  # this very process trained
    assert (tmp_path / "two" / "weights.safetensors").exists()


def test_a_process_that_fails_fails_the_step(tmp_path: Path, capfd: pytest.CaptureFixture[str]):
    settings = Settings(home=tmp_path, profile="tiny", training=TRAINING)
    with pytest.raises(TrainingError, match=r"training the towers by 2 processes ended with status 1"):
        train_on_node(settings, Model.TOWERS, tmp_path / "nothing", tmp_path / "two", processes=2)
    assert "nothing" in capfd.readouterr().err


def test_processes_that_would_go_on_from_different_steps_stop(tmp_path: Path):
    (tmp_path / "uneven.py").write_text(UNEVEN)
    done = subprocess.run([*LAUNCHER, str(tmp_path / "uneven.py")], capture_output=True, text=True)
    assert done.returncode != 0
    assert "would go on from the steps [40, 41]" in done.stderr
