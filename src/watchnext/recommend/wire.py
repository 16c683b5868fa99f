"""gRPC messages to and from `contracts.api`: one field to one field, the same limits, the same words."""

from watchnext.contracts.api import DEFAULT_K, Explanation, RecommendAnswer, RecommendedVideo, RecommendRequest
from watchnext.v1 import recommend_pb2 as pb


def request_from_proto(message: pb.RecommendRequest) -> RecommendRequest:
    """The checked request of a message; an absent k or surface takes its default, a zero k does not.

    Raises:
        RequestError: a field is out of range.
    """
    return RecommendRequest(
        user_id=message.user_id,
        k=message.k if message.HasField("k") else DEFAULT_K,
        surface=message.surface if message.HasField("surface") else "home",
        device=message.device,
        country=message.country,
        seed_video_id=message.seed_video_id,
        explain=message.explain,
        why_not=list(message.why_not),
        request_id=message.request_id,
        traceparent=message.traceparent,
        now_ms=message.now_ms,
    ).check()


def request_to_proto(request: RecommendRequest) -> pb.RecommendRequest:
    """The message of a request."""
    return pb.RecommendRequest(
        user_id=request.user_id,
        k=request.k,
        surface=request.surface,
        device=request.device,
        country=request.country,
        seed_video_id=request.seed_video_id,
        explain=request.explain,
        why_not=request.why_not,
        request_id=request.request_id,
        traceparent=request.traceparent,
        now_ms=request.now_ms,
    )


def answer_to_proto(answer: RecommendAnswer) -> pb.RecommendAnswer:
    """The message of an answer, without the ranker's feature vectors, which go to Kafka only."""
    return pb.RecommendAnswer(
        request_id=answer.request_id,
        user_id=answer.user_id,
        generation=answer.generation,
        overlay=answer.overlay,
        arm=answer.arm,
        served_at=answer.served_at,
        degraded=answer.degraded,
        items=[
            pb.RecommendedVideo(
                video_id=item.video_id,
                position=item.position,
                sources=item.sources,
                score=item.score,
                expected_seconds=item.expected_seconds,
                explanation=_explanation_to_proto(item.explanation) if item.explanation else None,
            )
            for item in answer.items
        ],
        why_not=answer.why_not,
        stages_ms=answer.stages_ms,
    )


def answer_from_proto(message: pb.RecommendAnswer) -> RecommendAnswer:
    """The answer of a message."""
    return RecommendAnswer(
        request_id=message.request_id,
        user_id=message.user_id,
        generation=message.generation,
        overlay=message.overlay,
        arm=message.arm,
        served_at=message.served_at,
        degraded=list(message.degraded),
        items=[
            RecommendedVideo(
                video_id=item.video_id,
                position=item.position,
                sources=list(item.sources),
                score=item.score,
                expected_seconds=item.expected_seconds if item.HasField("expected_seconds") else None,
                explanation=_explanation_from_proto(item.explanation) if item.HasField("explanation") else None,
            )
            for item in message.items
        ],
        why_not=dict(message.why_not),
        stages_ms=dict(message.stages_ms),
    )


def _explanation_to_proto(explanation: Explanation) -> pb.Explanation:
    return pb.Explanation(
        nearest_watched=explanation.nearest_watched,
        retrieval_score=explanation.retrieval_score,
        retrieval_position=explanation.retrieval_position,
        long_view_probability=explanation.long_view_probability,
        contributions=explanation.contributions,
        features=explanation.features,
        demotions=explanation.demotions,
    )


def _explanation_from_proto(message: pb.Explanation) -> Explanation:
    return Explanation(
        nearest_watched=message.nearest_watched,
        retrieval_score=message.retrieval_score,
        retrieval_position=message.retrieval_position,
        long_view_probability=message.long_view_probability if message.HasField("long_view_probability") else None,
        contributions=_by_size(dict(message.contributions)),
        features=dict(message.features),
        demotions=list(message.demotions),
    )


def _by_size(contributions: dict[str, float]) -> dict[str, float]:
    """Largest first again: a protobuf map has no order."""
    return dict(sorted(contributions.items(), key=lambda pair: (-abs(pair[1]), pair[0])))
