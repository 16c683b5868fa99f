"""Compile the pipelines to `pipelines/compiled/`: `python -m pipelines.compile [--to FOLDER]`."""

import argparse
from pathlib import Path

from kfp import compiler

from pipelines import dags
from pipelines.ablation import ablation
from pipelines.shape import CPU, GPU

COMPILED = Path(__file__).parent / "compiled"
TARGETS = {
    "train.yaml": (dags.train, GPU),
    "train-cpu.yaml": (dags.train, CPU),
    "refresh_index.yaml": (dags.refresh_index, CPU),
    "ablation.yaml": (ablation, CPU),
}


def compile_all(folder: Path) -> list[Path]:
    """Write every pipeline; the paths written."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, (dag, shape) in TARGETS.items():
        compiler.Compiler().compile(dag(shape), str(folder / name))
    return [folder / name for name in TARGETS]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--to", type=Path, default=COMPILED)
    for path in compile_all(parser.parse_args().to):
        print(path)
