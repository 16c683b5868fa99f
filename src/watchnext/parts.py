"""Parquet parts of the archive and of the offline log: each appears whole or not at all, and never over another.

A part is written aside, then hard-linked to its name, which fails where the name is taken. So of several writers of a
name, alive or thought dead, exactly one decides what it holds (ADR 10). The name aside is nobody else's, ever: after a
crash between link and unlink it is a second name of the published part.
"""

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from watchnext.errors import StoreError


def create_part(path: Path, table: Any, *, wanted: str) -> None:
    """Write an Arrow table to `path`, durably; its folder is made where it is missing.

    Raises:
        StoreError: `path` is there already, or cannot be written (a full disk, a volume that is away); the message says
            what was `wanted`.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        aside = write_aside(path, table)
        try:
            _link(aside, path, wanted)
        finally:
            aside.unlink()
        _sync(path.parent)
    except OSError as error:
        raise StoreError(
            f"{path} cannot be written ({error}); wanted to {wanted}: has its volume room, and is it mounted for us to "
            "write?"
        ) from error


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """For what reads the part or the folder of parts `path`.

    Raises:
        StoreError: it cannot be read, or is damaged.
    """
    try:
        yield
    except (pa.ArrowException, OSError) as error:
        told = " ".join(str(error).split())
        raise StoreError(
            f"{path} cannot be read ({told}): is its volume mounted? A damaged part is put back from a backup"
        ) from error


def write_aside(path: Path, table: Any) -> Path:
    """Write an Arrow table to a new file beside `path`, and its name."""
    aside = path.with_name(f".{path.name}.{uuid.uuid4().hex}.tmp")
    try:
        with aside.open("xb") as file:
            pq.write_table(table, file, compression="zstd")
            file.flush()
            os.fsync(file.fileno())
    except BaseException:
        aside.unlink(missing_ok=True)
        raise
    return aside


def _link(aside: Path, path: Path, wanted: str) -> None:
    try:
        os.link(aside, path)
    except FileExistsError as error:
        raise StoreError(
            f"{path} is there already; wanted to {wanted}: another worker has taken over this partition"
        ) from error


def _sync(folder: Path) -> None:
    """Make names in a folder durable."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
