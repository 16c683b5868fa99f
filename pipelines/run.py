"""Run a pipeline on this machine: `python -m pipelines.run train | refresh_index | ablation`.

The same components as on a cluster, each in a process of its own under KFP's local runner. Settings come from
`WATCHNEXT_*`, which the tasks inherit; artifacts lie under `<home>/pipelines`, those of a pipeline's last `KEPT_RUNS`
runs.
"""

import argparse
import itertools
import re
import shutil
import sys
import warnings
from pathlib import Path

from kfp import local

from pipelines import dags
from pipelines.ablation import SEEDS, ablation
from pipelines.shape import LOCAL
from watchnext.errors import WatchnextError
from watchnext.settings import Settings, load_settings

KEPT_RUNS = 3
_STAMP = re.compile(r"-\d{4}-[\d-]+$")  # the time in the name of a run's folder, which KFP's runner puts there


def run(name: str, settings: Settings, rows: str, seeds: int) -> None:
    """Run pipeline `name` to its end; `rows` and `seeds` are those of the ablation.

    Raises:
        RuntimeError: a task failed; its output, on stdout, ends with the reason.
    """
    root = settings.home.absolute() / "pipelines"
    root.mkdir(parents=True, exist_ok=True)
    remove_old_runs(root)
    sys.modules.setdefault("docker", None)  # type: ignore[arg-type]  # else our folder docker/ passes for Docker's SDK
    warnings.filterwarnings("ignore", "You may be attemping", RuntimeWarning)  # our image's name lacks "python"
    local.init(local.SubprocessRunner(use_venv=False), pipeline_root=str(root))
    heeded = {"profile": settings.profile, "training": settings.training.model_dump_json()}
    if name == "train":
        dags.train(LOCAL)(**heeded)
    elif name == "ablation":
        ablation(LOCAL)(rows=rows, seeds=seeds, **heeded)
    else:
        dags.refresh_index(LOCAL)()


def remove_old_runs(root: Path) -> None:
    """Delete the folders of all but the newest `KEPT_RUNS - 1` runs of each pipeline, to make room for one more.

    Of each: while a training runs for hours, or is still to be read, the refresh of every hour makes folders too.
    """
    runs = sorted((path for path in root.iterdir() if path.is_dir()), key=lambda path: path.name)
    for _, of_pipeline in itertools.groupby(runs, key=lambda path: _STAMP.sub("", path.name)):
        for old in list(of_pipeline)[: -(KEPT_RUNS - 1)]:
            shutil.rmtree(old)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("pipeline", choices=("train", "refresh_index", "ablation"))
    parser.add_argument("--rows", default="")
    parser.add_argument("--seeds", type=int, default=SEEDS)
    asked = parser.parse_args()
    try:
        run(asked.pipeline, load_settings(), asked.rows, asked.seeds)
    except (RuntimeError, WatchnextError) as error:
        sys.exit(str(error))
