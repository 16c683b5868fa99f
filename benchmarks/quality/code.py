"""Hashes of source code: answers that are kept are made anew when what they came from has changed."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

import watchnext


def code_hash(rooms: Sequence[str], *files: str) -> str:
    """Of the modules in `rooms` of the package, and of other `files`.

    >>> code_hash(["models"]) == code_hash(["models"]) != code_hash(["features"])
    True
    """
    digest = hashlib.sha256()
    package = Path(watchnext.__file__).parent
    modules = [path for room in rooms for path in sorted((package / room).glob("*.py"))]
    for path in [*modules, *map(Path, files)]:
        digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()
