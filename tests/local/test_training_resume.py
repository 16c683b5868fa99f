"""A training that is killed with SIGKILL in the middle of an epoch, and started again by the same command."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from safetensors import safe_open

from tests.local.trainable import EXAMPLES, write_examples
from watchnext.settings import Settings, Training
from watchnext.training.ranker import train_ranker
from watchnext.training.towers import train_towers

EPOCHS, BATCH = 6, 8
STEPS_AN_EPOCH = EXAMPLES // BATCH
TRAIN = {"towers": train_towers, "ranker": train_ranker}


def settings(home: Path, **training: object) -> Settings:
    wanted = {"threads": 1, "epochs": EPOCHS, "tower_epochs": EPOCHS, "batch": BATCH, "negatives": 50, **training}
    return Settings(home=home, profile="tiny", training=Training.model_validate(wanted))


def command(
    model: str, folder: Path, tmp_path: Path, checkpoint_minutes: float = 10
) -> tuple[list[str], dict[str, str]]:
    """The training of `settings(tmp_path)` as a process."""
    training = settings(tmp_path, checkpoint_minutes=checkpoint_minutes).training.model_dump()
    variables = {f"WATCHNEXT_TRAINING__{name.upper()}": json.dumps(value) for name, value in training.items()}
    for name in ("pooling", "ranking_weight", "precision"):
        variables[f"WATCHNEXT_TRAINING__{name.upper()}"] = training[name]
    variables |= {"WATCHNEXT_HOME": str(tmp_path), "WATCHNEXT_PROFILE": "tiny"}
    command = [sys.executable, "-m", "watchnext.training.main", model, str(tmp_path / "examples"), str(folder)]
    return command, {**os.environ, **variables}


def kill_in_mid_epoch(model: str, tmp_path: Path) -> int:
    """Start it with a checkpoint after every step, kill it in its second epoch or later; the step of its last one."""
    arguments, environment = command(model, tmp_path / "killed", tmp_path, checkpoint_minutes=1e-9)
    with subprocess.Popen(arguments, env=environment, stderr=subprocess.DEVNULL) as process:
        deadline = time.monotonic() + 120
        while step_of_checkpoint(model, tmp_path) < STEPS_AN_EPOCH + 5:
            assert process.poll() is None, "it ended before it was killed"
            assert time.monotonic() < deadline, "no checkpoint came"
            time.sleep(0.01)
        process.kill()
    return step_of_checkpoint(model, tmp_path)


def step_of_checkpoint(model: str, home: Path) -> int:
    for path in (home / "checkpoints").glob(f"{model}-*.safetensors"):
        with safe_open(path, framework="np") as file:
            return int(json.loads(file.metadata()["course"])["step"])
    return 0


@pytest.mark.parametrize("model", ["towers", "ranker"])
def test_a_killed_training_ends_with_the_weights_of_an_unbroken_one(model: str, tmp_path: Path):
    write_examples(tmp_path / "examples")
    TRAIN[model](settings(tmp_path / "other-home"), tmp_path / "examples", tmp_path / "unbroken")

    step = kill_in_mid_epoch(model, tmp_path)
    assert 0 < step < EPOCHS * STEPS_AN_EPOCH
    assert not (tmp_path / "killed" / "weights.safetensors").exists()
    arguments, environment = command(model, tmp_path / "resumed", tmp_path)
    done = subprocess.run(arguments, env=environment, check=True, capture_output=True, text=True)

    assert f"{model}_resumed" in done.stdout + done.stderr
    for name in ("weights.safetensors", "curve.json"):
        assert (tmp_path / "resumed" / name).read_bytes() == (tmp_path / "unbroken" / name).read_bytes(), name
    assert not list((tmp_path / "checkpoints").iterdir())  # all is done
