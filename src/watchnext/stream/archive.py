"""The event archive: every accepted message as a typed row, in Parquet parts; also the stream's write-ahead log.

A part is `{root}/{topic}/{topic}-{partition}-{first offset}.parquet`. It appears whole or not at all and never over
another (`watchnext.parts`), so for each first offset exactly one worker decides where a batch ends and which
of its messages were good. The range stands in the footer; the parts of a partition follow each other without a gap.
Those below the committed offset are merged.

>>> archive_schema(Topic.SEARCH).names
['user_id', 'event_id', 'query', 'searched_at', 'log_partition', 'log_offset', 'log_at_ms']
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

import msgspec
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pyarrow.parquet as pq

from watchnext.contracts.events import EVENT_OF_TOPIC, Event
from watchnext.contracts.names import Topic
from watchnext.errors import ConfigError
from watchnext.parts import Part, create_part, parts_of, reading, while_parts_stay

LOG_PARTITION: Final = "log_partition"
LOG_OFFSET: Final = "log_offset"
LOG_AT_MS: Final = "log_at_ms"  # when the event became available, epoch ms (`Event.at_ms`)
_NEXT_OFFSET: Final = b"watchnext.next_offset"


@dataclass(frozen=True, slots=True)
class Batch:
    """A run of one partition: offsets `first_offset` up to, not with, `next_offset`, and the good events in it."""

    topic: Topic
    partition: int
    first_offset: int
    next_offset: int
    events: Sequence[tuple[int, Event]]  # (offset, event)


class EventArchive:
    """Writes parts, and reads them back for recovery."""

    def __init__(self, root: str) -> None:
        if "://" in root:
            raise ConfigError(
                f"features.archive is {root!r}; wanted a folder (a volume that all workers mount): parts must be "
                "created exclusively (WATCHNEXT_FEATURES__ARCHIVE)"
            )
        self._root = Path(root)

    def write(self, batch: Batch) -> None:
        """Create the part of `batch`.

        Raises:
            StoreError: a part begins at this offset already; another worker had the partition.
        """
        path = self._path(batch.topic, batch.partition, batch.first_offset)
        table = _table(batch).replace_schema_metadata({_NEXT_OFFSET: str(batch.next_offset)})
        create_part(path, table, wanted=f"begin a batch at offset {batch.first_offset}")

    def read(self, topic: Topic, partition: int, first_offset: int) -> Batch | None:
        """The batch whose part begins at `first_offset`; None where there is none.

        Raises:
            StoreError: its part cannot be read.
        """
        path = self._path(topic, partition, first_offset)
        with reading(path):
            if not path.exists():
                return None
            table = pq.ParquetFile(path).read()
        next_offset = int(table.schema.metadata[_NEXT_OFFSET])
        return Batch(topic, partition, first_offset, next_offset, events_of(table, topic))

    def folder(self, topic: Topic) -> Path:
        """Where the parts of a topic lie."""
        return self._root / topic.value

    def _path(self, topic: Topic, partition: int, first_offset: int) -> Path:
        return Part.at(self.folder(topic), topic.value, partition, first_offset).path


def read_archive(path: str, topic: Topic, until: int | None = None, *, schema: Any = None) -> Any:
    """All archived messages of a topic as an Arrow table, by (partition, offset).

    Columns are the event's fields and `log_partition`, `log_offset`, `log_at_ms`. A message that a producer sent twice
    is there twice; `(user_id, event_id)` tells.

    Args:
        path: the archive's folder (`settings.archive_path`).
        topic: a topic that the stream consumes.
        until: epoch ms; events that became available later are left out.
        schema: of fewer columns, or of fewer fields in one, than `archive_schema` has, with those of the log.

    Raises:
        StoreError: a part cannot be read.
    """
    schema = schema or archive_schema(topic)
    folder = Path(path) / topic.value
    rows = None if until is None else pc.field(LOG_AT_MS) <= until
    with reading(folder):
        table = while_parts_stay(lambda: _read_parts(folder, schema, rows))
    return table.sort_by([(LOG_PARTITION, "ascending"), (LOG_OFFSET, "ascending")])


def _read_parts(folder: Path, schema: Any, rows: Any) -> Any:
    files = [str(part.path) for part in parts_of(folder)]
    return ds.dataset(files, schema=schema, format="parquet").to_table(filter=rows) if files else schema.empty_table()


def events_of(table: Any, topic: Topic) -> list[tuple[int, Event]]:
    """The events of an archive table with their offsets, in the table's order."""
    kind = EVENT_OF_TOPIC[topic]
    rows = table.select([name for name in kind.__struct_fields__ if name in table.column_names]).to_pylist()
    known = _known(rows, msgspec.inspect.type_info(list[kind]))  # type: ignore[valid-type]
    events = msgspec.convert(known, list[kind])  # type: ignore[valid-type]
    return list(zip(table[LOG_OFFSET].to_pylist(), events, strict=True))


def _known(value: Any, kind: msgspec.inspect.Type) -> Any:
    """A part that is older than a field lacks it, or has nulls in its place: the event has the default."""
    match kind:
        case msgspec.inspect.ListType(item_type=msgspec.inspect.StructType(fields=fields)):
            kinds = {field.name: (field.type, field.required) for field in fields}
            return [
                {name: _known(one, kinds[name][0]) for name, one in item.items() if one is not None or kinds[name][1]}
                for item in value
            ]
        case _:
            return value


@cache
def archive_schema(topic: Topic) -> Any:
    """Arrow schema of a topic's parts."""
    info = msgspec.inspect.type_info(EVENT_OF_TOPIC[topic])
    fields = [pa.field(field.name, _arrow_type(field.type)) for field in info.fields]  # type: ignore[attr-defined]
    return pa.schema(
        [
            *fields,
            pa.field(LOG_PARTITION, pa.int32()),
            pa.field(LOG_OFFSET, pa.int64()),
            pa.field(LOG_AT_MS, pa.int64()),
        ]
    )


def _table(batch: Batch) -> Any:
    schema = archive_schema(batch.topic)
    kind = EVENT_OF_TOPIC[batch.topic]
    events = [event for _, event in batch.events]
    columns: dict[str, Any] = {name: [getattr(event, name) for event in events] for name in kind.__struct_fields__}
    for name, values in columns.items():
        if pa.types.is_nested(schema.field(name).type):
            columns[name] = msgspec.to_builtins(values)
    columns[LOG_PARTITION] = [batch.partition] * len(events)
    columns[LOG_OFFSET] = [offset for offset, _ in batch.events]
    columns[LOG_AT_MS] = [event.at_ms for event in events]
    return pa.table(columns, schema=schema)


def _arrow_type(kind: msgspec.inspect.Type) -> Any:
    """The Arrow type of a field of an event."""
    match kind:
        case msgspec.inspect.Metadata():
            return _arrow_type(kind.type)
        case msgspec.inspect.BoolType():
            return pa.bool_()
        case msgspec.inspect.IntType():
            return pa.int64()
        case msgspec.inspect.FloatType():
            return pa.float64()
        case msgspec.inspect.StrType():
            return pa.string()
        case msgspec.inspect.ListType():
            return pa.list_(_arrow_type(kind.item_type))
        case msgspec.inspect.StructType():
            return pa.struct([pa.field(field.name, _arrow_type(field.type)) for field in kind.fields])
        case msgspec.inspect.UnionType():
            (present,) = (one for one in kind.types if not isinstance(one, msgspec.inspect.NoneType))
            return _arrow_type(present)
        case _:
            raise TypeError(f"no Arrow type is known for {kind}")
