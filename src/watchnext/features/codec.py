"""Named arrays as bytes: what retrieval sends and the ranker reads. A JSON header, then little-endian columns.

Layout: `b"WN"`, version uint16, header length uint32, header JSON `{"meta": …, "columns": [[name, dtype, shape], …]}`
padded to 8 bytes, then each column's bytes padded to 8, in order. No copy on reading.

>>> meta, columns = unpack(pack({"k": 1}, {"row": np.arange(3, dtype="<i4")}))
>>> meta["k"], columns["row"].tolist()
(1, [0, 1, 2])
"""

import json
import math
import struct
from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

MAGIC: Final = b"WN"
VERSION: Final = 1
_HEAD = struct.Struct("<2sHI")
_DTYPES: Final = ("<i4", "<i8", "<f4", "<f8", "|u1")
Columns = Mapping[str, NDArray[Any]]


def pack(meta: Mapping[str, Any], columns: Columns) -> bytes:
    """Bytes of `meta` (JSON values) and `columns`.

    Raises:
        ValueError: a column has a type other than int32, int64, float32, float64 or uint8.
    """
    parts: list[bytes] = []
    specs = []
    for name, column in columns.items():
        array = np.ascontiguousarray(column, dtype=column.dtype.newbyteorder("<"))
        if array.dtype.str not in _DTYPES:
            raise ValueError(f"column {name} has type {column.dtype}; wanted one of {', '.join(_DTYPES)}")
        specs.append([name, array.dtype.str, list(array.shape)])
        parts.append(_padded(array.tobytes()))
    header = json.dumps({"meta": dict(meta), "columns": specs}, separators=(",", ":")).encode()
    return b"".join([_HEAD.pack(MAGIC, VERSION, len(header)), _padded(header), *parts])


def unpack(data: bytes | bytearray | memoryview) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """What `pack` was given; the arrays are read-only views of `data`.

    Raises:
        ValueError: the bytes are not of this format and version, are cut short, or are longer than they say.
    """
    view = memoryview(data)
    if len(view) < _HEAD.size:
        raise ValueError(f"{len(view)} bytes came; a packed message has at least {_HEAD.size}")
    magic, version, header_length = _HEAD.unpack_from(view)
    if magic != MAGIC or version != VERSION:
        raise ValueError(f"magic {magic!r} version {version} came; wanted {MAGIC!r} version {VERSION}")
    try:
        header = json.loads(bytes(view[_HEAD.size : _HEAD.size + header_length]))
        meta, specs = header["meta"], header["columns"]
        at = _HEAD.size + _round_up(header_length)
        columns = {}
        for name, dtype, shape in specs:
            if dtype not in _DTYPES or any(not isinstance(n, int) or n < 0 for n in shape):
                raise ValueError(f"column {name} has type {dtype} and shape {shape}")
            count = math.prod(shape)
            columns[name] = np.frombuffer(view, dtype=dtype, count=count, offset=at).reshape(shape)
            at += _round_up(columns[name].nbytes)
    except (KeyError, TypeError, OverflowError, UnicodeDecodeError, json.JSONDecodeError, RecursionError) as error:
        raise ValueError(f"the header of the packed message cannot be read: {error}") from error
    if at != len(view):
        raise ValueError(f"{len(view)} bytes came; the header tells of {at}")
    return meta, columns


def _round_up(length: int) -> int:
    return -(-length // 8) * 8


def _padded(data: bytes) -> bytes:
    return data + bytes(_round_up(len(data)) - len(data))
