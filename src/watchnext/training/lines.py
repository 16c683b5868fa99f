"""Examples as lines of Parquet files: each with the columns of its user, so that a reader needs nothing beside a line.

A user's columns repeat on every line of a moment, which costs little: neighbours compress to almost nothing. Files are
written a part at a time and read a row group at a time; neither end holds more than that.

    bag       list<int32>, without the zeros at its end
    features  a float column each, by the names of `spec.RANKER_FEATURES`
    others    a column each
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import Any, Final, Generic, Self, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from watchnext.features.batches import BAGS, UserColumns
from watchnext.features.spec import HISTORY, RANKER_FEATURES

GROUP: Final = 8_192  # lines of a row group at most
FEATURES: Final = "features"

Arrays = dict[str, NDArray[Any]]


@dataclass(frozen=True, kw_only=True)
class Lines:
    """Examples in memory: their users, and columns of the same length."""

    users: UserColumns

    def __len__(self) -> int:
        return len(self.users)

    def take(self, at: Any) -> Self:
        """The lines of an index array, a slice or a mask."""
        return self.of({name: column[at] for name, column in self.columns().items()})

    @classmethod
    def joined(cls, parts: Sequence[Self]) -> Self:
        """The lines of all parts, of which there is at least one."""
        return cls.of(end_to_end([part.columns() for part in parts]))

    def columns(self) -> Arrays:
        """All columns by name, those of the users among them."""
        return {**columns_of(self.users), **columns_of(self)}

    @classmethod
    def of(cls, columns: Mapping[str, NDArray[Any]]) -> Self:
        """What `columns` gave."""
        users: dict[str, Any] = {name: columns[name] for name in names_of(UserColumns)}
        own: dict[str, Any] = {name: columns[name] for name in names_of(cls)}
        return cls(users=UserColumns(**users), **own)


Kind = TypeVar("Kind", bound=Lines)


@dataclass(frozen=True)
class LineFile(Generic[Kind]):
    """A Parquet file of examples of one kind."""

    path: Path
    kind: type[Kind]

    @cached_property
    def groups(self) -> list[int]:
        """Lines of each row group."""
        meta = pq.read_metadata(self.path)
        return [meta.row_group(at).num_rows for at in range(meta.num_row_groups)]

    def __len__(self) -> int:
        return sum(self.groups)

    def writer(self) -> "LineWriter[Kind]":
        """Writes the file, as a context."""
        return LineWriter(self.path)

    def read(self) -> Kind:
        """All lines, in memory."""
        return self.kind.of(_arrays(pq.read_table(self.path)))

    def column(self, name: str) -> NDArray[Any]:
        """One column of all lines, in memory."""
        return _arrays(pq.read_table(self.path, columns=[name]))[name]

    def counts(self, name: str, size: int) -> NDArray[np.int64]:
        """How often each number below `size` is in a column of row numbers or of bags of them, `[size]`."""
        counts = np.zeros(size, np.int64)
        for part in self.scan(name):
            counts += np.bincount(part[name].ravel(), minlength=size)
        return counts

    def scan(self, *names: str, order: Iterable[int] | None = None) -> Iterator[Arrays]:
        """The columns `names`, or all, a row group at a time: those of `order`, or all."""
        wanted = [column for name in names for column in (RANKER_FEATURES if name == FEATURES else (name,))]
        with pq.ParquetFile(self.path) as file:
            for at in range(len(self.groups)) if order is None else order:
                yield _arrays(file.read_row_group(at, columns=wanted or None, use_threads=False))


class LineWriter(Generic[Kind]):
    """Appends lines to a Parquet file, in row groups of at most `GROUP`."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: pq.ParquetWriter | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        if self._file:
            self._file.close()

    def write(self, lines: Kind) -> None:
        """Append `lines`; the first ones, if only none, make the file."""
        table = _table(lines.columns())
        if self._file is None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._file = pq.ParquetWriter(self._path, table.schema, compression="zstd")
        if len(lines):
            self._file.write_table(table, row_group_size=GROUP)


def end_to_end(parts: Sequence[Arrays]) -> Arrays:
    """The columns of all parts, of which there is at least one, under each other."""
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def columns_of(one: Lines | UserColumns) -> Arrays:
    """The columns that `one` itself has, by name."""
    return {name: getattr(one, name) for name in names_of(type(one))}


def names_of(kind: type[Lines] | type[UserColumns]) -> list[str]:
    """Names of the columns that a kind itself has."""
    return [field.name for field in fields(kind) if field.name != "users"]


def bags_of(bags: NDArray[np.int32]) -> pa.ListArray:
    """Lists without the zeros at their ends, of `[bags, HISTORY]`."""
    filled = bags != 0
    lengths = np.where(filled.any(axis=1), HISTORY - filled[:, ::-1].argmax(axis=1), 0)
    ends = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)
    return pa.ListArray.from_arrays(pa.array(ends), pa.array(bags[_inside(lengths)]))


def padded(lists: pa.ListArray) -> NDArray[np.int32]:
    """What `bags_of` was given."""
    bags = np.zeros((len(lists), HISTORY), np.int32)
    bags[_inside(lists.value_lengths().to_numpy())] = lists.flatten().to_numpy()
    return bags


def _inside(lengths: NDArray[Any]) -> NDArray[np.bool_]:
    return np.arange(HISTORY) < lengths[:, None]


def _table(columns: Arrays) -> pa.Table:
    table: dict[str, Any] = {}
    for name, column in columns.items():
        if name == FEATURES:
            table |= dict(zip(RANKER_FEATURES, column.T, strict=True))
        else:
            table[name] = bags_of(column) if name in BAGS else column
    return pa.table(table)


def _arrays(table: pa.Table) -> Arrays:
    table = table.combine_chunks()
    own = [name for name in table.column_names if name not in RANKER_FEATURES]
    arrays = {name: padded(table[name].chunk(0)) if name in BAGS else table[name].to_numpy() for name in own}
    if RANKER_FEATURES[0] in table.column_names:
        arrays[FEATURES] = np.stack([table[name].to_numpy() for name in RANKER_FEATURES], axis=1)
    return arrays
