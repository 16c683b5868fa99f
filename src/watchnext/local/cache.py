"""Where downloads and builds for the local servers lie: `$XDG_CACHE_HOME/watchnext`, default `~/.cache/watchnext`.

Each lies in a folder named after the content of its build input under `artifacts/`: another clone finds it, another
version never mixes in. Standard library only.
"""

import hashlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from watchnext.errors import PrerequisiteError

ARTIFACTS: Final = Path(__file__).parent / "artifacts"


def kafka_jars() -> Path:
    """Folder of Kafka's jars, there or not."""
    return place_of("kafka", ARTIFACTS / "kafka" / "pom.xml")


def router_binary() -> Path:
    """The router program, there or not."""
    return go_program("router", ARTIFACTS / "router")


def go_program(name: str, module: Path) -> Path:
    """The program that is built from a folder with `go.mod`, `go.sum` and maybe sources, there or not."""
    return place_of(name, *sorted(module.iterdir())) / name


def place_of(name: str, *inputs: Path) -> Path:
    """The folder of what is made from `inputs`, there or not."""
    digest = hashlib.sha256()
    for file in inputs:
        digest.update(file.read_bytes())
    return _folder() / f"{name}-{digest.hexdigest()[:12]}"


def require_download(path: Path, what: str) -> None:
    """Sees that a download is there.

    Raises:
        PrerequisiteError: it is not.
    """
    if not path.exists():
        raise PrerequisiteError(f"{what} is not at {path}: run `make setup`")


@contextmanager
def scratch() -> Iterator[Path]:
    """A folder beside the results, so that the rename that makes a result whole stays on one file system."""
    _folder().mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=_folder(), prefix="making-") as folder:
        yield Path(folder)


def keep(made: Path, place: Path) -> None:
    """Moves what was made to its place; where another set-up was quicker, its equal result stays."""
    try:
        made.rename(place)
    except OSError:
        if not place.exists():
            raise


def _folder() -> Path:
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return cache.absolute() / "watchnext"  # servers run in folders of their own
