"""The folder of a split: what every contender may read, the questions it is asked, and the lists that it answers with.

PyArrow and numpy only, so that the peers read it in their own environment. Times are epoch ms; rows 1 to N are videos,
0 is none. `split.json` names the SHA-256 of each file; a reader checks them.

>>> split = read_split(Path("splits/kuairand-test"))                                             # doctest: +SKIP
>>> lists_of(split.queries["targets"])[0]                                                        # doctest: +SKIP
array([5239], dtype=int32)
"""

import hashlib
import itertools
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

DEPTH: Final = 200  # videos in a ranked list
HISTORY: Final = 50  # watches that a query carries
DESCRIPTION: Final = "split.json"
_ROWS = pa.list_(pa.int32())

SCHEMAS: Final = {
    "videos": pa.schema(
        {
            "row": pa.int32(),
            "video_id": pa.string(),
            "channel_id": pa.string(),
            "topics": pa.list_(pa.string()),
            "seconds": pa.float64(),
            "uploaded_ms": pa.int64(),
        }
    ),
    "users": pa.schema({"user": pa.int32(), "user_id": pa.string()}),
    # Positives to train on, by (time, row). `derived`: the time is made up, so it is history and never a label.
    "interactions": pa.schema({"user": pa.int32(), "video": pa.int32(), "at_ms": pa.int64(), "derived": pa.bool_()}),
    # Whatever was shown before the cut, by (time, row); of KuaiRand only.
    "exposures": pa.schema(
        {
            "user": pa.int32(),
            "video": pa.int32(),
            "at_ms": pa.int64(),
            "long_view": pa.bool_(),
            "derived": pa.bool_(),
        }
    ),
    # `history`: positives before the question, old to new; `seen`: rows that no list may hold.
    "queries": pa.schema({"user": pa.int32(), "history": _ROWS, "seen": _ROWS, "targets": _ROWS}),
}


@dataclass(frozen=True, slots=True)
class Split:
    """A split in memory; `tables` has a table of each schema that the data set fills."""

    name: str
    data: str
    rule: str
    cut_ms: int | None  # None: each user has a cut of their own
    end_ms: int | None  # what came later was not read; None: all was
    tables: dict[str, pa.Table]

    @property
    def videos(self) -> int:
        """N; rows are 1 to N."""
        return int(self.tables["videos"].num_rows)

    @property
    def interactions(self) -> pa.Table:
        return self.tables["interactions"]

    @property
    def queries(self) -> pa.Table:
        return self.tables["queries"]


def write_split(split: Split, folder: Path) -> Split:
    """Write the files and, last, `split.json`. The same split gives the same bytes."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, table in split.tables.items():
        pq.write_table(table, _file(folder, name))
    description = {
        "name": split.name,
        "data": split.data,
        "rule": split.rule,
        "cut_ms": split.cut_ms,
        "end_ms": split.end_ms,
        "videos": split.videos,
        "counts": {name: table.num_rows for name, table in split.tables.items()},
        "files": {_file(folder, name).name: _sha256(_file(folder, name)) for name in split.tables},
    }
    (folder / DESCRIPTION).write_text(json.dumps(description, indent=2) + "\n")
    return split


def read_split(folder: Path) -> Split:
    """The split in `folder`.

    Raises:
        FileNotFoundError: there is none, or one of its files is gone.
        ValueError: a file is not the one that was written.
    """
    said = json.loads((folder / DESCRIPTION).read_text())
    for name, wanted in said["files"].items():
        if (came := _sha256(folder / name)) != wanted:
            raise ValueError(f"{folder / name}: SHA-256 {came} came, {wanted} was written: write the split again")
    tables = {name: pq.read_table(_file(folder, name)) for name in said["counts"]}
    return Split(said["name"], said["data"], said["rule"], said["cut_ms"], said["end_ms"], tables)


def lists_of(column: pa.ChunkedArray) -> list[NDArray[np.int32]]:
    """A column of lists as arrays, without a copy for each."""
    lists = column.combine_chunks()
    ends = lists.offsets.to_numpy()
    values = lists.values.to_numpy()
    return [values[start:end] for start, end in itertools.pairwise(ends)]


def _file(folder: Path, name: str) -> Path:
    return folder / f"{name}.parquet"


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
