"""The envelope: the retrieval step's answer, which the router makes the ranking step's whole request.

JSON, since the router posts `application/json`; arrays are base64 of little-endian columns. Trace and deadline travel
in the body, because the router propagates no header by default. There is no `instances` and no `inputs` key, which
KServe would read as its own protocol.
"""

import base64
from typing import Any, Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from watchnext.contracts.names import SCHEMA_VERSION
from watchnext.errors import EnvelopeError


class Candidates(msgspec.Struct, frozen=True, kw_only=True):
    """Candidates in retrieval order. Columns: row int32 (0 = unknown), score float32, sources int32 bitmask."""

    video_ids: list[str]
    row: str
    score: str
    sources: str

    @classmethod
    def of(cls, video_ids: list[str], row: NDArray[Any], score: NDArray[Any], sources: NDArray[Any]) -> "Candidates":
        """From columns of one length, shapes `[candidates]`."""
        return cls(
            video_ids=video_ids,
            row=_text(row, "<i4"),
            score=_text(score, "<f4"),
            sources=_text(sources, "<i4"),
        )

    def columns(self) -> dict[str, NDArray[Any]]:
        """`row`, `score` and `sources` as arrays `[candidates]`.

        Raises:
            EnvelopeError: a column is not base64 or has another length than `video_ids`.
        """
        columns = {
            "row": _array(self.row, "<i4"),
            "score": _array(self.score, "<f4"),
            "sources": _array(self.sources, "<i4"),
        }
        for name, column in columns.items():
            if len(column) != len(self.video_ids):
                raise EnvelopeError(
                    f"envelope column {name} has {len(column)} entries for {len(self.video_ids)} candidates"
                )
        return columns


class Envelope(msgspec.Struct, frozen=True, kw_only=True):
    """All that ranking needs to know of one request."""

    schema_version: int = SCHEMA_VERSION
    request_id: str
    traceparent: str = ""
    user_id: str
    arm: str = ""
    generation: str = ""  # empty: nothing is published, or the answer needs no ranking
    overlay: int = 0
    now_ms: int  # the clock of the request: features are as of this time
    deadline_ms: int  # epoch ms at which the caller stops waiting
    k: int
    surface: str = ""
    device: str = ""
    country: str = ""
    seed_video_id: str = ""
    explain: bool = False
    rankable: bool = True  # false: keep the retrieval order (popular and static lists)
    state: str = ""  # base64 of `features.codec.pack(meta, encoded user)`
    candidates: Candidates
    degraded: list[str] = []
    nearest_watched: list[str] = []  # a video id a candidate, where the request asks to explain
    why_not: dict[str, str] = {}  # video id to the stage at which it dropped out; "" where it is a candidate
    stages_ms: dict[str, float] = {}

    def state_bytes(self) -> bytes:
        """The packed user state.

        Raises:
            EnvelopeError: `state` is not base64.
        """
        return _bytes(self.state)


_ENCODER: Final = msgspec.json.Encoder()


def encode(envelope: Envelope) -> bytes:
    """JSON bytes."""
    return _ENCODER.encode(envelope)


def convert(payload: Any) -> Envelope:
    """The envelope in parsed JSON.

    Raises:
        EnvelopeError: not an envelope, or of another version.
    """
    try:
        envelope = msgspec.convert(payload, Envelope)
    except msgspec.ValidationError as error:
        raise EnvelopeError(f"the ranking step wants the retrieval step's envelope: {error}") from error
    if envelope.schema_version != SCHEMA_VERSION:
        raise EnvelopeError(
            f"an envelope of version {envelope.schema_version} came; this ranker reads {SCHEMA_VERSION}: "
            "roll out retrieval and ranking from one release"
        )
    return envelope


def _text(array: NDArray[Any], dtype: str) -> str:
    return base64.b64encode(np.ascontiguousarray(array, dtype=dtype).tobytes()).decode("ascii")


def _bytes(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except ValueError as error:
        raise EnvelopeError(f"the envelope carries text that is not base64: {error}") from error


def _array(text: str, dtype: str) -> NDArray[Any]:
    data = _bytes(text)
    if len(data) % 4:
        raise EnvelopeError(f"an envelope column has {len(data)} bytes; wanted a multiple of 4")
    return np.frombuffer(data, dtype=dtype)
