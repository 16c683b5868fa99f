"""The lower rungs of the ladder: answers that are made when a part is down. `docs/ladder.md` is the table.

A rung costs quality, never the answer: it says in `degraded` what it had to do without, and it has no invented score.
"""

from collections.abc import Sequence

from watchnext.contracts.api import Explanation, RecommendAnswer, RecommendedVideo, RecommendRequest
from watchnext.contracts.envelope import Envelope
from watchnext.contracts.names import Degraded, Source, source_labels
from watchnext.recommend.explain import why_not_retrieval_order


def in_retrieval_order(envelope: Envelope, *, lost: Sequence[Degraded] = ()) -> RecommendAnswer:
    """The first k candidates as retrieval sent them, without expected seconds.

    Raises:
        EnvelopeError: the envelope's columns cannot be read.
    """
    columns = envelope.candidates.columns()
    items = []
    for position, video_id in enumerate(envelope.candidates.video_ids[: envelope.k]):
        score = float(columns["score"][position])
        explanation = None
        if envelope.explain:
            nearest = envelope.nearest_watched[position] if envelope.nearest_watched else ""
            explanation = Explanation(nearest_watched=nearest, retrieval_score=score, retrieval_position=position)
        items.append(
            RecommendedVideo(
                video_id=video_id,
                position=position,
                sources=list(source_labels(int(columns["sources"][position]))),
                score=score,
                explanation=explanation,
            )
        )
    return RecommendAnswer(
        request_id=envelope.request_id,
        user_id=envelope.user_id,
        generation=envelope.generation,
        overlay=envelope.overlay,
        arm=envelope.arm,
        served_at=envelope.now_ms,
        degraded=_with(envelope.degraded, lost),
        items=items,
        why_not=why_not_retrieval_order(envelope),
        stages_ms=envelope.stages_ms,
    )


def static_answer(
    request: RecommendRequest, static_list: Sequence[str], *, lost: Sequence[str], now_ms: int
) -> RecommendAnswer:
    """The gateway's own list, the lowest rung: it needs no other part."""
    ids = [video_id for video_id in dict.fromkeys(static_list) if video_id != request.seed_video_id]
    return RecommendAnswer(
        request_id=request.request_id,
        user_id=request.user_id,
        arm=request.arm,
        served_at=now_ms,
        degraded=list(lost),
        items=[
            RecommendedVideo(video_id=video_id, position=position, sources=[Source.STATIC.label], score=0.0)
            for position, video_id in enumerate(ids[: request.k])
        ],
        why_not=dict.fromkeys(request.why_not, "the static list was served: no part that could tell was asked"),
    )


def _with(degraded: Sequence[str], lost: Sequence[Degraded]) -> list[str]:
    return list(dict.fromkeys([*degraded, *(part.value for part in lost)]))
