from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class RecommendRequest(_message.Message):
    __slots__ = ("user_id", "k", "surface", "device", "country", "seed_video_id", "explain", "why_not", "request_id", "traceparent", "now_ms")
    USER_ID_FIELD_NUMBER: _ClassVar[int]
    K_FIELD_NUMBER: _ClassVar[int]
    SURFACE_FIELD_NUMBER: _ClassVar[int]
    DEVICE_FIELD_NUMBER: _ClassVar[int]
    COUNTRY_FIELD_NUMBER: _ClassVar[int]
    SEED_VIDEO_ID_FIELD_NUMBER: _ClassVar[int]
    EXPLAIN_FIELD_NUMBER: _ClassVar[int]
    WHY_NOT_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    TRACEPARENT_FIELD_NUMBER: _ClassVar[int]
    NOW_MS_FIELD_NUMBER: _ClassVar[int]
    user_id: str
    k: int
    surface: str
    device: str
    country: str
    seed_video_id: str
    explain: bool
    why_not: _containers.RepeatedScalarFieldContainer[str]
    request_id: str
    traceparent: str
    now_ms: int
    def __init__(self, user_id: _Optional[str] = ..., k: _Optional[int] = ..., surface: _Optional[str] = ..., device: _Optional[str] = ..., country: _Optional[str] = ..., seed_video_id: _Optional[str] = ..., explain: _Optional[bool] = ..., why_not: _Optional[_Iterable[str]] = ..., request_id: _Optional[str] = ..., traceparent: _Optional[str] = ..., now_ms: _Optional[int] = ...) -> None: ...

class RecommendAnswer(_message.Message):
    __slots__ = ("request_id", "user_id", "generation", "overlay", "arm", "served_at", "degraded", "items", "why_not", "stages_ms")
    class WhyNotEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    class StagesMsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: float
        def __init__(self, key: _Optional[str] = ..., value: _Optional[float] = ...) -> None: ...
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    USER_ID_FIELD_NUMBER: _ClassVar[int]
    GENERATION_FIELD_NUMBER: _ClassVar[int]
    OVERLAY_FIELD_NUMBER: _ClassVar[int]
    ARM_FIELD_NUMBER: _ClassVar[int]
    SERVED_AT_FIELD_NUMBER: _ClassVar[int]
    DEGRADED_FIELD_NUMBER: _ClassVar[int]
    ITEMS_FIELD_NUMBER: _ClassVar[int]
    WHY_NOT_FIELD_NUMBER: _ClassVar[int]
    STAGES_MS_FIELD_NUMBER: _ClassVar[int]
    request_id: str
    user_id: str
    generation: str
    overlay: int
    arm: str
    served_at: int
    degraded: _containers.RepeatedScalarFieldContainer[str]
    items: _containers.RepeatedCompositeFieldContainer[RecommendedVideo]
    why_not: _containers.ScalarMap[str, str]
    stages_ms: _containers.ScalarMap[str, float]
    def __init__(self, request_id: _Optional[str] = ..., user_id: _Optional[str] = ..., generation: _Optional[str] = ..., overlay: _Optional[int] = ..., arm: _Optional[str] = ..., served_at: _Optional[int] = ..., degraded: _Optional[_Iterable[str]] = ..., items: _Optional[_Iterable[_Union[RecommendedVideo, _Mapping]]] = ..., why_not: _Optional[_Mapping[str, str]] = ..., stages_ms: _Optional[_Mapping[str, float]] = ...) -> None: ...

class RecommendedVideo(_message.Message):
    __slots__ = ("video_id", "position", "sources", "score", "expected_seconds", "explanation")
    VIDEO_ID_FIELD_NUMBER: _ClassVar[int]
    POSITION_FIELD_NUMBER: _ClassVar[int]
    SOURCES_FIELD_NUMBER: _ClassVar[int]
    SCORE_FIELD_NUMBER: _ClassVar[int]
    EXPECTED_SECONDS_FIELD_NUMBER: _ClassVar[int]
    EXPLANATION_FIELD_NUMBER: _ClassVar[int]
    video_id: str
    position: int
    sources: _containers.RepeatedScalarFieldContainer[str]
    score: float
    expected_seconds: float
    explanation: Explanation
    def __init__(self, video_id: _Optional[str] = ..., position: _Optional[int] = ..., sources: _Optional[_Iterable[str]] = ..., score: _Optional[float] = ..., expected_seconds: _Optional[float] = ..., explanation: _Optional[_Union[Explanation, _Mapping]] = ...) -> None: ...

class Explanation(_message.Message):
    __slots__ = ("nearest_watched", "retrieval_score", "retrieval_position", "long_view_probability", "contributions", "features", "demotions")
    class ContributionsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: float
        def __init__(self, key: _Optional[str] = ..., value: _Optional[float] = ...) -> None: ...
    class FeaturesEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: float
        def __init__(self, key: _Optional[str] = ..., value: _Optional[float] = ...) -> None: ...
    NEAREST_WATCHED_FIELD_NUMBER: _ClassVar[int]
    RETRIEVAL_SCORE_FIELD_NUMBER: _ClassVar[int]
    RETRIEVAL_POSITION_FIELD_NUMBER: _ClassVar[int]
    LONG_VIEW_PROBABILITY_FIELD_NUMBER: _ClassVar[int]
    CONTRIBUTIONS_FIELD_NUMBER: _ClassVar[int]
    FEATURES_FIELD_NUMBER: _ClassVar[int]
    DEMOTIONS_FIELD_NUMBER: _ClassVar[int]
    nearest_watched: str
    retrieval_score: float
    retrieval_position: int
    long_view_probability: float
    contributions: _containers.ScalarMap[str, float]
    features: _containers.ScalarMap[str, float]
    demotions: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, nearest_watched: _Optional[str] = ..., retrieval_score: _Optional[float] = ..., retrieval_position: _Optional[int] = ..., long_view_probability: _Optional[float] = ..., contributions: _Optional[_Mapping[str, float]] = ..., features: _Optional[_Mapping[str, float]] = ..., demotions: _Optional[_Iterable[str]] = ...) -> None: ...
