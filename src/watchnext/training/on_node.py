"""One training on this node: by a process for each accelerator, under `torchrun`; without several, in this process."""

import os
import subprocess
import sys
from pathlib import Path

import torch

from watchnext.errors import TrainingError
from watchnext.settings import Settings
from watchnext.training.main import Model, summary_of, variables_of


def train_on_node(
    settings: Settings, model: Model, examples: Path, folder: Path, processes: int | None = None
) -> dict[str, float]:
    """Fit a model as `train_towers` and `train_ranker` do.

    Args:
        settings: their `training`, `profile` and `home`.
        model: which.
        examples: folder of an `ExampleSet`.
        folder: where the result goes.
        processes: how many share it out; None: one for each accelerator that torch sees, at least one.

    Returns:
        What the training tells of itself.

    Raises:
        TrainingError: one of several processes failed; its error stands in the log.
    """
    processes = processes or max(torch.cuda.device_count(), 1)
    if processes == 1:
        return model.train(settings, examples, folder)
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)]
    command = [*launcher, "-m", "watchnext.training.main", model, str(examples), str(folder)]
    # Single settings in variables of their own would go before the run's, which are one.
    ours = {name: value for name, value in os.environ.items() if not name.upper().startswith("WATCHNEXT_TRAINING")}
    variables = {**variables_of(settings), "WATCHNEXT_HOME": str(settings.home)}
    done = subprocess.run(command, env=ours | variables)
    if done.returncode:
        raise TrainingError(
            f"training the {model} by {processes} processes ended with status {done.returncode}; the error of the "
            "one that failed first stands above"
        )
    return summary_of(folder)
