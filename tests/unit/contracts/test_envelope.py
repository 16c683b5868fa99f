import base64
import struct

import msgspec
import numpy as np
import pytest

from watchnext.contracts import envelope
from watchnext.errors import EnvelopeError


def an_envelope(**changes: object) -> envelope.Envelope:
    candidates = envelope.Candidates.of(["a", "b"], np.array([3, 4]), np.array([0.5, -1.0]), np.array([1, 9]))
    values = {"request_id": "r", "user_id": "u", "now_ms": 5, "deadline_ms": 9, "k": 2, "candidates": candidates}
    return envelope.Envelope(**(values | changes))


def test_columns_are_little_endian_whatever_type_they_had():
    candidates = an_envelope().candidates

    assert base64.b64decode(candidates.row) == struct.pack("<2i", 3, 4)
    assert base64.b64decode(candidates.score) == struct.pack("<2f", 0.5, -1.0)
    assert base64.b64decode(candidates.sources) == struct.pack("<2i", 1, 9)


def test_an_envelope_survives_the_router():
    sent = an_envelope(degraded=["index"], state=base64.b64encode(b"user").decode())

    came = envelope.convert(msgspec.json.decode(envelope.encode(sent)))

    assert came == sent
    assert came.state_bytes() == b"user"
    assert came.candidates.columns()["score"].tolist() == [0.5, -1.0]


def test_the_envelope_has_no_key_that_kserve_reads_as_its_own():
    assert not {"instances", "inputs"} & set(envelope.Envelope.__struct_fields__)


def test_another_version_is_refused_with_the_mend():
    came = msgspec.to_builtins(an_envelope(schema_version=2))

    with pytest.raises(EnvelopeError, match="version 2 came; this ranker reads 1: roll out"):
        envelope.convert(came)


@pytest.mark.parametrize("came", [None, "text", [], {}, {"k": 1}, msgspec.to_builtins(an_envelope()) | {"k": 1.5}])
def test_what_is_no_envelope_is_refused(came: object):
    with pytest.raises(EnvelopeError, match="wants the retrieval step's envelope"):
        envelope.convert(came)


@pytest.mark.parametrize(
    ("column", "message"),
    [("AAAA", "3 bytes; wanted a multiple of 4"), ("AAAAAA==", "1 entries for 2 candidates"), ("*", "not base64")],
)
def test_a_torn_column_is_refused(column: str, message: str):
    candidates = envelope.Candidates(video_ids=["a", "b"], row=column, score=column, sources=column)

    with pytest.raises(EnvelopeError, match=message):
        candidates.columns()
