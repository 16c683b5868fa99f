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
    return _folder() / f"kafka-{_digest(ARTIFACTS / 'kafka' / 'pom.xml')}"


def router_binary() -> Path:
    """The router program, there or not."""
    return _folder() / f"router-{_digest(ARTIFACTS / 'router' / 'go.mod', ARTIFACTS / 'router' / 'go.sum')}" / "router"


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
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "watchnext"


def _digest(*files: Path) -> str:
    digest = hashlib.sha256()
    for file in files:
        digest.update(file.read_bytes())
    return digest.hexdigest()[:12]
