"""Between Python values and Feast's protobuf values, without the detour through pandas.

An empty list and an empty string are values, not absences: both survive the round trip.
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from feast.protos.feast.types.EntityKey_pb2 import EntityKey
from feast.protos.feast.types.Value_pb2 import DoubleList, Int64List, StringList, Value

from watchnext.contracts.names import Entity

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)

_ENCODERS: Final[dict[Any, Callable[[Any], Value]]] = {
    str: lambda value: Value(string_val=value),
    int: lambda value: Value(int64_val=value),
    float: lambda value: Value(double_val=value),
    bool: lambda value: Value(bool_val=value),
    list[str]: lambda value: Value(string_list_val=StringList(val=value)),
    list[int]: lambda value: Value(int64_list_val=Int64List(val=value)),
    list[float]: lambda value: Value(double_list_val=DoubleList(val=value)),
}
_FIELDS: Final[dict[Any, str]] = {
    str: "string_val",
    int: "int64_val",
    float: "double_val",
    bool: "bool_val",
    list[str]: "string_list_val",
    list[int]: "int64_list_val",
    list[float]: "double_list_val",
}
_LISTS: Final = frozenset(field for field in _FIELDS.values() if field.endswith("_list_val"))


def encoder(kind: Any) -> Callable[[Any], Value]:
    """The function that makes a protobuf value of a field kind of `contracts.rows`."""
    return _ENCODERS[kind]


def decode(field: str, value: Value) -> Any:
    """The Python value in a protobuf value; `field` is that of `field_of`."""
    return list(getattr(value, field).val) if field in _LISTS else getattr(value, field)


def field_of(kind: Any) -> str:
    """The protobuf field that holds a field kind."""
    return _FIELDS[kind]


def entity_key(entity: Entity, entity_id: str) -> EntityKey:
    """Feast's key of one user or video."""
    return EntityKey(join_keys=[entity.value], entity_values=[Value(string_val=entity_id)])


def to_datetime(micros: int) -> datetime:
    """The instant of epoch microseconds, exactly."""
    return _EPOCH + timedelta(microseconds=micros)


def to_micros(instant: datetime) -> int:
    """Epoch microseconds of an instant, exactly."""
    return (instant - _EPOCH) // _MICROSECOND
