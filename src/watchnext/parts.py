"""Parquet parts of the archive and of the offline log: each appears whole or not at all, and never over another.

A part is written aside, then hard-linked to its name, which fails where the name is taken. So of several writers of a
name, alive or thought dead, exactly one decides what it holds (ADR 10). The name aside is nobody else's, ever: after a
crash between link and unlink it is a second name of the published part.

    {topic}-{partition}-{first offset}.parquet                  of a batch
    {topic}-{partition}-{first offset}-{end}-{level}.parquet    merged of the parts from an offset to before another

Batches are small where events trickle, so that parts that are done are merged, and merged again (ADR 43). A merge
covers whatever begins inside it: readers leave that out, so that nothing depends on who removes it, or when.
"""

import itertools
import os
import re
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

import pyarrow as pa
import pyarrow.parquet as pq

from watchnext.errors import StoreError

FAN: Final = 64  # parts of a level that become one of the next
MOST_BYTES: Final = 16 * 2**20  # of what is merged, as it lies on the disk
MOST_VALUES: Final = 16 * 2**20  # of what is merged, some 200 MB, which a worker holds in memory
_AT_ONCE: Final = 4  # merges in a row: after an upgrade there may be many to do, and events wait meanwhile
_TRIES: Final = 5
Read = TypeVar("Read")
_NAME: Final = re.compile(
    r"(?P<topic>.+?)-(?P<partition>\d+)-(?P<first>\d{20})(?:-(?P<end>\d{20})-(?P<level>\d+))?\.parquet"
)


@dataclass(frozen=True)
class Part:
    """One file: what came of a topic's partition from `first_offset` on."""

    topic: str
    partition: int
    first_offset: int
    end: int  # the first offset behind it; 0 of a batch's part, whose name does not tell
    level: int  # 0 of a batch's part
    path: Path

    @classmethod
    def at(cls, folder: Path, topic: str, partition: int, first_offset: int, *, end: int = 0, level: int = 0) -> "Part":
        """That of a batch, or of a merge, in a folder."""
        merged = f"-{end:020d}-{level}" if level else ""
        path = folder / f"{topic}-{partition}-{first_offset:020d}{merged}.parquet"
        return cls(topic, partition, first_offset, end, level, path)

    @classmethod
    def of(cls, path: Path) -> "Part | None":
        """None where the name is no part's."""
        match = _NAME.fullmatch(path.name)
        if match is None:
            return None
        partition, first, end, level = (int(match[name] or 0) for name in ("partition", "first", "end", "level"))
        return cls(match["topic"], partition, first, end, level, path)


def parts_of(folder: Path, only: tuple[str, int] | None = None) -> list[Part]:
    """The parts in a folder by topic, partition and offset, without what a merge that is there covers.

    Args:
        folder: an archive's or an offline log's.
        only: a topic and its partition; else those of all.

    Raises:
        StoreError: the folder cannot be read; one that is not there has no parts.
    """
    kept, _ = _sorted_out(folder, only)
    return kept


def merged_up_to(folder: Path, topic: str, partition: int, offset: int) -> int | None:
    """The first offset behind the merge that holds `offset`, up to which all is done; None where no merge does.

    Raises:
        StoreError: the folder cannot be read.
    """
    parts = parts_of(folder, (topic, partition))
    return next((part.end for part in parts if part.first_offset <= offset < part.end), None)


def merge_parts(folder: Path, topic: str, partition: int, *, before: int) -> None:
    """Merge what there is much of below an offset, up to which all is done, and remove what merges cover.

    Any number of processes may do so at once, dead ones that come back among them: a part is removed once one that
    covers it is there for good, and a merge is never written over.

    Raises:
        StoreError: a part cannot be read, or none be written.
    """
    kept, covered = _sorted_out(folder, (topic, partition))
    with _writing(folder, wanted="remove what is merged"):
        for part in covered:
            part.path.unlink(missing_ok=True)
    starts = [part.first_offset for part in kept if part.first_offset < before]
    done = list(zip(kept, [*starts[1:], before], strict=False)) if starts else []
    with reading(folder), suppress(FileNotFoundError):  # another process is at it
        for _ in range(_AT_ONCE):  # of one listing: it takes seconds where there is much to do
            due = _due(done)
            if due is None:
                return
            parts = [part for part, _ in done[due]]
            end = done[due][-1][1]
            done[due] = [(_merge(parts, end), end)]


def while_parts_stay(read: Callable[[], Read]) -> Read:
    """What `read` gives, which lists parts and opens them; it begins anew where one was merged meanwhile."""
    for _ in range(_TRIES):
        with suppress(FileNotFoundError):
            return read()
    return read()


def _sorted_out(folder: Path, only: tuple[str, int] | None) -> tuple[list[Part], list[Part]]:
    """The parts of a folder that hold each message once, and the others.

    A listing that a merge runs through may have neither its parts nor the merge. So a part that was there before and
    that nothing covers has to be there still; else the folder is listed anew.
    """
    prefix = f"{only[0]}-{only[1]}-" if only else ""  # of few: a name that is read takes a while
    before = _names(folder, prefix)
    while True:
        names = _names(folder, prefix)
        found = [part for name in before | names if (part := Part.of(folder / name)) is not None]
        kept, covered = _by_cover(part for part in found if only in (None, (part.topic, part.partition)))
        if names.issuperset(part.path.name for part in kept):
            return kept, covered
        before = names


def _names(folder: Path, prefix: str) -> set[str]:
    """Not by `glob`, to which a folder that may not be read is an empty one."""
    with reading(folder), suppress(FileNotFoundError):
        return {name for name in os.listdir(folder) if name.startswith(prefix)}
    return set()


def _by_cover(found: Iterable[Part]) -> tuple[list[Part], list[Part]]:
    """Those that no other covers, by topic, partition and offset, and the others."""
    kept: dict[tuple[str, int], list[Part]] = {}
    covered = []
    for part in sorted(found, key=lambda one: (one.topic, one.partition, one.first_offset, -one.end)):
        before = kept.setdefault((part.topic, part.partition), [])
        if before and part.first_offset < before[-1].end:
            covered.append(part)
        else:
            before.append(part)
    return [part for parts in kept.values() for part in parts], covered


def _due(done: Sequence[tuple[Part, int]]) -> slice | None:
    """Where the oldest `FAN` neighbours of one level are that are not too big; None where there are none."""
    start = 0
    for _, same in itertools.groupby(done, key=lambda one: one[0].level):
        following = start + len(list(same))
        for first in range(start, following - FAN + 1, FAN):
            window = slice(first, first + FAN)
            paths = [part.path for part, _ in done[window]]
            if sum(path.stat().st_size for path in paths) <= MOST_BYTES and sum(map(_values, paths)) <= MOST_VALUES:
                return window
        start = following
    return None


def _values(path: Path) -> int:
    """How many values a part holds, each of a list: rows of one user repeat them, and compress a hundredfold."""
    with path.open("rb") as file, reading(path):
        footer = pq.read_metadata(file)
    groups = (footer.row_group(index) for index in range(footer.num_row_groups))
    return sum(group.column(index).num_values for group in groups for index in range(group.num_columns))


def _merge(parts: Sequence[Part], end: int) -> Part:
    """Make one part of neighbours, up to before `end`, and remove them; FileNotFoundError where one is gone."""
    tables = []
    for part in parts:
        with part.path.open("rb") as file, reading(part.path):
            tables.append(pq.ParquetFile(file).read())
    table = pa.concat_tables(tables, promote_options="default").replace_schema_metadata(tables[-1].schema.metadata)
    first, folder = parts[0], parts[0].path.parent
    merged = Part.at(folder, first.topic, first.partition, first.first_offset, end=end, level=first.level + 1)
    with _writing(merged.path, wanted=f"merge {len(parts)} parts"):
        with suppress(FileExistsError):  # another's, of the same parts
            _create(merged.path, table)
        _sync(folder)
        for part in parts:
            part.path.unlink(missing_ok=True)
    return merged


def create_part(path: Path, table: Any, *, wanted: str) -> None:
    """Write an Arrow table to `path`, durably; its folder is made where it is missing.

    Raises:
        StoreError: `path` is there already, or cannot be written (a full disk, a volume that is away); the message says
            what was `wanted`.
    """
    with _writing(path, wanted):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            _create(path, table)
        except FileExistsError as error:
            raise StoreError(
                f"{path} is there already; wanted to {wanted}: another worker has taken over this partition"
            ) from error
        _sync(path.parent)


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


@contextmanager
def _writing(path: Path, wanted: str) -> Iterator[None]:
    """As `reading`, for what writes or removes; `wanted` is what for."""
    try:
        yield
    except OSError as error:
        raise StoreError(
            f"{path} cannot be written ({error}); wanted to {wanted}: has its volume room, and is it mounted for us to "
            "write?"
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


def _create(path: Path, table: Any) -> None:
    """Write an Arrow table to a name that is not taken; raises FileExistsError where it is."""
    aside = write_aside(path, table)
    try:
        os.link(aside, path)
    finally:
        aside.unlink()


def _sync(folder: Path) -> None:
    """Make names in a folder durable."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
