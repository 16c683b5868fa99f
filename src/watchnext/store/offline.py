"""The offline log: every folded row, one an event, as Parquet parts that Feast's offline store reads.

Parts lie in one folder a view. A part appears whole or not at all, and never over another (`watchnext.parts`). From the
committed offset on nothing is removed: who finds a part there takes its rows (ADR 10).
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from watchnext.contracts.names import Topic, View
from watchnext.contracts.rows import ROW_OF_VIEW, FeatureRow
from watchnext.errors import ConfigError, StoreError
from watchnext.parts import Part, create_part, parts_of, reading, write_aside
from watchnext.store.schema import EVENT_TIMESTAMP

_EMPTY: Final = "empty.parquet"  # no rows: gives the engine a schema before the first part
_LAST_OFFSET: Final = b"watchnext.last_offset"
_TIMESTAMP: Final = pa.timestamp("us", tz="UTC")
_ARROW_TYPES: Final[dict[Any, Any]] = {
    str: pa.string(),
    int: pa.int64(),
    float: pa.float64(),
    bool: pa.bool_(),
    list[str]: pa.list_(pa.string()),
    list[int]: pa.list_(pa.int64()),
    list[float]: pa.list_(pa.float64()),
}


def arrow_schema(row: type[FeatureRow]) -> Any:
    """Columns of a view's parts: the join key, the timestamp, the features in order."""
    return pa.schema(
        [
            pa.field(row.ENTITY.value, pa.string()),
            pa.field(EVENT_TIMESTAMP, _TIMESTAMP),
            *(pa.field(name, _ARROW_TYPES[kind]) for name, kind in row.features().items()),
        ]
    )


class OfflineLog:
    """The parts of one view below the offline folder (`settings.offline_path`).

    Raises:
        ConfigError: `root` is a URL, such as Feast's Spark and BigQuery read.
    """

    def __init__(self, root: str | Path, view: View) -> None:
        if "://" in str(root):  # as a path it would be a folder of that name, which no other worker sees
            raise ConfigError(
                f"features.offline is {str(root)!r}; workers and the drill want a folder (a volume that all workers "
                "mount): parts must be created exclusively (WATCHNEXT_FEATURES__OFFLINE)"
            )
        self.folder = Path(root) / view.value
        self._row = ROW_OF_VIEW[view]
        self._schema = arrow_schema(self._row)

    def create(self) -> None:
        """Make the folder, with a part without rows that has every column, so that any view can be queried."""
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / _EMPTY
        if not path.exists() or pq.read_schema(path) != self._schema:  # of a release before the newest feature
            write_aside(path, self._schema.empty_table()).replace(path)

    def write_part(
        self, topic: Topic, partition: int, first_offset: int, last_offset: int, rows: Sequence[FeatureRow]
    ) -> Path:
        """Write the rows folded from the offsets `first_offset` to `last_offset`, in their order.

        Raises:
            StoreError: the part is there already (another worker wrote it), or a value is not of its column's type.
        """
        path = self._path(topic, partition, first_offset)
        table = self._table(rows).replace_schema_metadata({_LAST_OFFSET: str(last_offset)})
        create_part(path, table, wanted=f"write offsets {first_offset} to {last_offset}")
        return path

    def read_part(self, topic: Topic, partition: int, first_offset: int, last_offset: int) -> list[FeatureRow] | None:
        """The rows of one part in their order, as they were written; None where there is no such part.

        Raises:
            StoreError: the part cannot be read, or ends at another offset: it was folded from another batch.
        """
        path = self._path(topic, partition, first_offset)
        with reading(path):
            if not path.exists():
                return None
            table = pq.ParquetFile(path).read()
        if (last := int(table.schema.metadata[_LAST_OFFSET])) != last_offset:
            raise StoreError(
                f"{path} ends at offset {last}; wanted {last_offset}, where the archive's part ends: one of the two "
                "folders has lost a part. Stop the workers and put both back from one backup"
            )
        return self._rows(table)

    def last_row(self, topic: Topic, partition: int, before: int) -> FeatureRow | None:
        """The last row folded from a partition's offsets below `before`, a part's first; None where there is none.

        Raises:
            StoreError: a part, or the folder, cannot be read.
        """
        parts = parts_of(self.folder, (topic.value, partition))
        for path in reversed([part.path for part in parts if part.first_offset < before]):
            with reading(path):
                part = pq.ParquetFile(path)
                rows = part.read() if part.metadata.num_rows else None
            if rows is not None:
                return self._rows(rows.slice(len(rows) - 1))[0]
        return None

    def parts(self) -> list[Part]:
        """The parts by topic, partition and first offset, which together hold each row once."""
        return parts_of(self.folder)

    def _path(self, topic: Topic, partition: int, first_offset: int) -> Path:
        return Part.at(self.folder, topic.value, partition, first_offset).path

    def _rows(self, table: Any) -> list[FeatureRow]:
        # A part that is older than a feature lacks its column, or has nulls in it: the row has the default.
        names = [name for name in self._row.features() if name in table.column_names]
        columns = [table[0], table[1].cast(pa.int64()), *(table[name] for name in names)]
        rows = zip(*(column.to_pylist() for column in columns), strict=True)
        known = (zip(("entity_id", "event_timestamp", *names), row, strict=True) for row in rows)
        return [self._row(**{name: value for name, value in row if value is not None}) for row in known]

    def _table(self, rows: Sequence[FeatureRow]) -> Any:
        columns = [
            pa.array([row.entity_id for row in rows], pa.string()),
            pa.array([row.event_timestamp for row in rows], pa.int64()).cast(_TIMESTAMP),
        ]
        for field in list(self._schema)[2:]:
            try:
                columns.append(pa.array([getattr(row, field.name) for row in rows], field.type))
            except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
                raise StoreError(f"{self._row.VIEW.value}.{field.name} wants {field.type}: {error}") from error
        return pa.table(columns, schema=self._schema)
