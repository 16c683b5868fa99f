"""Whole columns of rows encoded at once, against `encode_user` of each row."""

import dataclasses
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from tests.unit.features.world import DAY, NOW, VOCABULARIES
from watchnext.contracts.rows import USER_ROWS
from watchnext.features.spec import HISTORY
from watchnext.features.state import ALIGNED, EncodedUser, RequestContext, UserState, encode_user
from watchnext.store.offline import arrow_schema
from watchnext.training.states import ENCODED, encode_rows

WORDS = ("film", "song", "news", "gone", "cats", "dogs", "funny cats", "drama", "")


def table(rows: list[dict[str, Any]]) -> pa.Table:
    """As the offline log has them: null where a row is missing."""
    types = {field.name: field.type for row in USER_ROWS for field in arrow_schema(row)}
    columns = {name: pa.array([row.get(name) for row in rows], types[name]) for name in ENCODED}
    return pa.table(columns)


def drawn_row(draw: np.random.Generator) -> dict[str, Any]:
    """Any row: each view is there or not, lists of all lengths."""
    row: dict[str, Any] = {}
    kinds = {name: kind for of_view in USER_ROWS for name, kind in of_view.features().items() if name in ENCODED}
    values = {
        str: lambda: str(draw.choice(WORDS)),
        int: lambda: int(draw.integers(0, NOW)),
        float: lambda: float(draw.normal()),
        bool: lambda: bool(draw.integers(2)),
    }
    lengths = {name: int(draw.integers(HISTORY + 9)) for group in ALIGNED for name in group}
    for group in ALIGNED:
        lengths |= dict.fromkeys(group, lengths[group[0]])
    for of_view in USER_ROWS:
        if draw.random() < 0.3:
            continue
        for name in [name for name in of_view.features() if name in kinds]:
            inner = getattr(kinds[name], "__args__", None)
            if inner is None:
                row[name] = values[kinds[name]]()
            elif inner[0] is int and name.endswith("s"):  # a count
                row[name] = draw.integers(1, 99, lengths[name]).tolist()
            else:
                row[name] = [values[inner[0]]() for _ in range(lengths.get(name, int(draw.integers(9))))]
        if "birth_year" in row:
            row["birth_year"] = int(draw.choice([0, 1990]))
    return row


def test_columns_of_rows_encode_as_each_row_does() -> None:
    draw = np.random.default_rng(2)
    rows = [{}, *(drawn_row(draw) for _ in range(60))]
    contexts = [
        RequestContext(now_ms=NOW + number * DAY, surface="home", country=draw.choice(["", "DE"]), seed_video_id="song")
        for number in range(len(rows))
    ]
    for user, row, context in zip(encode_rows(table(rows), contexts, VOCABULARIES), rows, contexts, strict=True):
        alone = encode_user(UserState.from_rows(row), context, VOCABULARIES)
        for field in dataclasses.fields(EncodedUser):
            many, one = getattr(user, field.name), getattr(alone, field.name)
            assert np.array_equal(many, one), field.name
            assert type(many) is type(one), field.name
            assert not isinstance(one, np.ndarray) or many.dtype == one.dtype, field.name


def test_lists_of_different_lengths_are_refused() -> None:
    rows = [{}, {"channel_ids": ["a", "b"], "channel_watches": [1], "channel_last": [NOW, NOW]}]
    with pytest.raises(ValueError, match=r"channel_watches.*\[2, 1, 2\]"):
        encode_rows(table(rows), [RequestContext(now_ms=NOW)] * 2, VOCABULARIES)
