"""The public request and answer, the same over REST, gRPC and the bare inference graph."""

from typing import Any, Final

import msgspec

from watchnext.contracts.events import MAX_MILLIS
from watchnext.contracts.names import MAX_K
from watchnext.errors import RequestError

DEFAULT_K: Final = 20
MAX_ID: Final = 256
MAX_REQUEST_ID: Final = MAX_ID - len(f":{MAX_K - 1}")  # an impression's id is the request's and a position
MAX_BODY: Final = 256 * 1024  # bytes of a request


class RecommendRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Ask for the `k` best videos for a user now."""

    user_id: str
    k: int = DEFAULT_K
    surface: str = "home"
    device: str = ""  # empty: as in the profile
    country: str = ""  # empty: as in the profile
    seed_video_id: str = ""  # the video that is being watched, if any
    explain: bool = False
    why_not: list[str] = []  # video ids whose absence is to be explained
    request_id: str = ""  # made by the gateway where empty
    traceparent: str = ""
    arm: str = ""  # set by the gateway
    deadline_ms: int = 0  # epoch ms; 0: the server's default budget
    now_ms: int = 0  # 0: the server's clock. Only honoured where `serving.allow_client_time` is set

    def check(self) -> "RecommendRequest":
        """Itself.

        Raises:
            RequestError: a field is out of range; the message says which and what is wanted.
        """
        if not 1 <= self.k <= MAX_K:
            raise RequestError(f"k = {self.k} came; wanted 1 to {MAX_K}")
        if not 1 <= len(self.user_id) <= MAX_ID:
            raise RequestError(f"user_id has {len(self.user_id)} characters; wanted 1 to {MAX_ID}")
        for name in ("surface", "device", "country", "seed_video_id", "request_id", "traceparent", "arm"):
            longest = MAX_REQUEST_ID if name == "request_id" else MAX_ID
            if len(getattr(self, name)) > longest:
                raise RequestError(f"{name} has {len(getattr(self, name))} characters; wanted at most {longest}")
            _check_unicode(name, getattr(self, name))
        _check_unicode("user_id", self.user_id)
        _check_unicode("why_not", *self.why_not)
        if len(self.why_not) > MAX_K:
            raise RequestError(f"why_not has {len(self.why_not)} ids; wanted at most {MAX_K}")
        if (longest := max(map(len, self.why_not), default=0)) > MAX_ID:
            raise RequestError(f"an id in why_not has {longest} characters; wanted at most {MAX_ID}")
        if self.deadline_ms < 0:
            raise RequestError(f"deadline_ms = {self.deadline_ms} came; wanted epoch milliseconds, or 0 for our own")
        if not 0 <= self.now_ms <= MAX_MILLIS:
            raise RequestError(f"now_ms = {self.now_ms} came; wanted epoch milliseconds, 0 to {MAX_MILLIS}")
        return self


def _check_unicode(name: str, *texts: str) -> None:
    try:
        "".join(texts).encode()
    except UnicodeEncodeError as error:  # a command line's words may hold other bytes
        raise RequestError(f"{name} is no Unicode text: {error}") from error


class Explanation(msgspec.Struct, frozen=True, kw_only=True):
    """Why a video stands where it stands."""

    nearest_watched: str = ""  # the watched video that is nearest by video vector
    retrieval_score: float = 0.0
    retrieval_position: int = 0
    long_view_probability: float | None = None
    contributions: dict[str, float] = {}  # feature to change of the logit (gradient × input), largest first
    features: dict[str, float] = {}
    demotions: list[str] = []  # what pulled it down, in words, worst first


class RecommendedVideo(msgspec.Struct, frozen=True, kw_only=True):
    """One line of an answer."""

    video_id: str
    position: int
    sources: list[str]
    score: float  # retrieval score, one whatever the sources; 0 in popular and static lists
    expected_seconds: float | None = None  # e^logit; none where the ranker did not score
    features: str = ""  # base64 float32, the ranker's feature vector; the gateway moves it to `served-events`
    explanation: Explanation | None = None


class RecommendAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """The ranked list. `degraded` names what the answer had to do without (`Degraded`)."""

    request_id: str
    user_id: str
    generation: str = ""
    overlay: int = 0
    arm: str = ""
    served_at: int
    degraded: list[str] = []
    items: list[RecommendedVideo]
    why_not: dict[str, str] = {}
    stages_ms: dict[str, float] = {}


_REQUEST: Final = msgspec.json.Decoder(RecommendRequest)
_ANSWER: Final = msgspec.json.Decoder(RecommendAnswer)
_ENCODER: Final = msgspec.json.Encoder()


def encode(message: msgspec.Struct) -> bytes:
    """JSON bytes of a request or an answer."""
    return _ENCODER.encode(message)


def decode_request(body: bytes) -> RecommendRequest:
    """The checked request in a body.

    Raises:
        RequestError: not JSON, not of the schema, or out of range.
    """
    try:
        return _REQUEST.decode(body).check()
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise RequestError(f"the request cannot be read: {error}") from error


def convert_request(payload: Any, *, strict: bool = True) -> RecommendRequest:
    """The checked request in parsed JSON; not `strict` reads numbers and flags from text, as in a query string.

    Raises:
        RequestError: not of the schema, or out of range.
    """
    try:
        return msgspec.convert(payload, RecommendRequest, strict=strict).check()
    except msgspec.ValidationError as error:
        raise RequestError(f"the request cannot be read: {error}") from error


def decode_answer(body: bytes) -> RecommendAnswer:
    """The answer in a body.

    Raises:
        RequestError: not an answer.
    """
    try:
        return _ANSWER.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise RequestError(f"no answer that can be read came: {error}") from error
