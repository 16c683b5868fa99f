from datetime import UTC, datetime
from typing import Any

import pytest
from feast.protos.feast.types.Value_pb2 import Value
from hypothesis import given
from hypothesis import strategies as st

from watchnext.contracts.names import Entity
from watchnext.store.values import decode, encoder, entity_key, field_of, to_datetime, to_micros

INT64 = st.integers(-(2**63), 2**63 - 1)
FLOAT64 = st.floats(allow_nan=False)
VALUES = st.one_of(
    st.tuples(st.just(str), st.text()),
    st.tuples(st.just(int), INT64),
    st.tuples(st.just(float), FLOAT64),
    st.tuples(st.just(bool), st.booleans()),
    st.tuples(st.just(list[str]), st.lists(st.text())),
    st.tuples(st.just(list[int]), st.lists(INT64)),
    st.tuples(st.just(list[float]), st.lists(FLOAT64)),
)


@given(VALUES)
def test_a_value_survives_the_bytes_of_the_store(typed: tuple[Any, Any]) -> None:
    kind, value = typed

    data = encoder(kind)(value).SerializeToString()

    assert data, "an empty value is stored, so that it differs from an absent one"
    found = decode(field_of(kind), Value.FromString(data))
    assert found == value
    assert type(found) is type(value)


@given(st.integers(0, 4_102_444_799_999_999))
def test_microseconds_are_exact(micros: int) -> None:
    assert to_micros(to_datetime(micros)) == micros


def test_an_instant_by_hand() -> None:
    assert to_datetime(1_700_000_000_000_001) == datetime(2023, 11, 14, 22, 13, 20, 1, tzinfo=UTC)


@pytest.mark.parametrize(("kind", "value"), [(str, 1), (int, "1"), (list[str], ["a", None]), (list[int], [1.5])])
def test_another_type_is_refused(kind: Any, value: Any) -> None:
    with pytest.raises((TypeError, ValueError)):
        encoder(kind)(value)


def test_a_key_is_one_named_string() -> None:
    key = entity_key(Entity.USER, "u1")

    assert list(key.join_keys) == ["user_id"]
    assert [value.string_val for value in key.entity_values] == ["u1"]
