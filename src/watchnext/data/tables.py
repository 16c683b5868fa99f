"""Reading a data file: one that cannot be read is a `DataError`; a single bad row is left out and counted.

>>> read_table(Path("videos.csv"), {"video_id": "text", "video_duration": "number"}, Counter())   # doctest: +SKIP
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from watchnext.errors import DataError

Kind = Literal["text", "number", "optional"]  # text and number must be there; an optional cell may be empty
Dropped = Counter[str]  # "file: why" to the number of rows left out

_EXACT: Final = 2**53  # ids and milliseconds beyond this are no longer whole in a float


def read_table(path: Path, columns: Mapping[str, Kind], dropped: Dropped, *, separator: str = ",") -> pd.DataFrame:
    """The named columns of a CSV file (gzip by its name): text as `str`, numbers as float64.

    Rows with another number of cells, an empty text, or a number that is none (NaN, infinite) are left out and
    counted in `dropped`.

    Raises:
        DataError: no such file, empty, cut off, not text, without a wanted column, or without one good row.
    """
    if not path.is_file():
        raise DataError(f"{path}: no such file; wanted a CSV file with the columns {', '.join(columns)}")
    raw = _read(path, list(columns), dropped, separator)
    good = np.ones(raw.num_rows, dtype=bool)
    cells: dict[str, pd.Series] = {}
    for name, kind in columns.items():
        column = pc.utf8_trim_whitespace(raw[name])
        if kind == "number":
            values = pd.to_numeric(column.to_pandas(), errors="coerce")
            fine = np.isfinite(values.to_numpy(np.float64)) & (values.abs() < _EXACT).to_numpy()
            why = f"{name} is not a finite number"
        else:
            values = column.to_pandas()
            fine = np.ones(len(values), dtype=bool) if kind == "optional" else (values != "").to_numpy()
            why = f"{name} is empty"
        _count(dropped, path, why, int((good & ~fine).sum()))
        good &= fine
        cells[name] = values
    if not good.any():
        raise DataError(f"{path}: none of its {raw.num_rows:,} rows can be used ({_reasons(dropped, path)})")
    return pd.DataFrame(cells)[good].reset_index(drop=True)


def drop_rows(frame: pd.DataFrame, bad: "pd.Series[bool]", path: Path, why: str, dropped: Dropped) -> pd.DataFrame:
    """`frame` without the `bad` rows, which are counted.

    Raises:
        DataError: nothing is left.
    """
    _count(dropped, path, why, int(bad.sum()))
    if bad.all():
        raise DataError(f"{path}: none of its {len(frame):,} rows can be used ({_reasons(dropped, path)})")
    return frame[~bad].reset_index(drop=True)


def rows_of(frame: pd.DataFrame) -> Iterator[Any]:
    """The rows as named tuples, whose field types no checker can know."""
    return iter(frame.itertuples(index=False))


def _read(path: Path, columns: list[str], dropped: Dropped, separator: str) -> pa.Table:
    ragged = 0

    def skip(row: pyarrow.csv.InvalidRow) -> str:
        nonlocal ragged
        ragged += 1
        return "skip"

    quoted = separator == ","
    try:
        with pa.input_stream(str(path), compression="gzip" if path.suffix == ".gz" else None) as stream:
            table = pyarrow.csv.read_csv(
                stream,
                parse_options=pyarrow.csv.ParseOptions(
                    delimiter=separator, quote_char='"' if quoted else False, invalid_row_handler=skip
                ),
                convert_options=pyarrow.csv.ConvertOptions(
                    include_columns=columns, column_types=dict.fromkeys(columns, pa.string()), strings_can_be_null=False
                ),
            )
    except KeyError as error:
        raise DataError(f"{path}: {error.args[0]}; wanted the columns {', '.join(columns)}") from error
    except (pa.ArrowException, OSError) as error:
        state = "is empty" if "Empty CSV" in str(error) or path.stat().st_size == 0 else f"cannot be read ({error})"
        raise DataError(
            f"{path}: the file {state}; wanted {'gzipped ' if path.suffix == '.gz' else ''}CSV with the columns "
            f"{', '.join(columns)}: fetch it again"
        ) from error
    _count(dropped, path, "another number of cells than the header", ragged)
    if table.num_rows == 0:
        raise DataError(f"{path}: a header came and no usable row; wanted rows with {', '.join(columns)}")
    return table


def _count(dropped: Dropped, path: Path, why: str, rows: int) -> None:
    if rows:
        dropped[f"{path.name}: {why}"] += rows


def _reasons(dropped: Dropped, path: Path) -> str:
    return "; ".join(f"{key} ({rows:,})" for key, rows in dropped.items() if key.startswith(path.name))
