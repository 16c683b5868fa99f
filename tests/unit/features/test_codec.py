import json
import struct

import numpy as np
import pytest

from watchnext.features.codec import pack, unpack

COLUMNS = {
    "row": np.array([[1, 2], [3, 4], [5, 6]], np.int32),
    "at": np.array([1 << 40], np.int64),
    "score": np.array([0.5, -0.5, np.inf], np.float32),
    "none": np.zeros((0, 7), np.float64),
    "bytes": np.array([0, 255, 7], np.uint8),
}


def message(*specs: list[object], body: bytes = b"") -> bytes:
    """A packed message by hand, whose header tells of `specs`."""
    header = json.dumps({"meta": {}, "columns": specs}).encode()
    header += bytes(-len(header) % 8)
    return struct.pack("<2sHI", b"WN", 1, len(header)) + header.rstrip(b"\0").ljust(len(header), b" ") + body


def test_what_is_packed_comes_back():
    meta, columns = unpack(pack({"k": 1, "name": "é"}, COLUMNS))
    assert meta == {"k": 1, "name": "é"}
    assert list(columns) == list(COLUMNS)
    for name, column in COLUMNS.items():
        assert columns[name].dtype == column.dtype
        np.testing.assert_array_equal(columns[name], column)


def test_a_message_by_hand_is_read():
    _, columns = unpack(message(["x", "<i4", [2]], body=struct.pack("<ii", 3, -4)))
    assert columns["x"].tolist() == [3, -4]


def test_no_other_type_is_packed():
    with pytest.raises(ValueError, match="column x has type"):
        pack({}, {"x": np.array(["text"])})


@pytest.mark.parametrize("cut", [0, 3, 7, 12, -8, -1])
def test_a_message_cut_short_is_refused(cut: int):
    with pytest.raises(ValueError, match=r"bytes came|cannot be read|buffer"):
        unpack(pack({"k": 1}, COLUMNS)[:cut])


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"XX" + pack({}, COLUMNS)[2:], "magic"),
        (b"WN\x09\x00" + pack({}, COLUMNS)[4:], "version 9"),
        (pack({}, COLUMNS) + bytes(8), "the header tells of"),
        (message(["x", "<i4", [-1]]), "shape"),
        (message(["x", "<i4", [0.5]]), "shape"),
        (message(["x", "|O", [1]]), "type"),
        (message(["x", "<i4", [1 << 70]]), "cannot be read"),
        (message(["x", "<i4", [1 << 40]]), "buffer"),
        (message(["x", "<i4"]), "values to unpack"),
        (message(["x", "<i4", 3]), "cannot be read"),
        (struct.pack("<2sHI", b"WN", 1, 100_000) + b"[" * 100_000, "cannot be read"),
    ],
)
def test_nonsense_is_a_value_error(data: bytes, why: str):
    with pytest.raises(ValueError, match=why):
        unpack(data)
