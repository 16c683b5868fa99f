"""The serving path without servers: the online row, retrieval's envelope, the guard, the scorer in TorchServe's place.

Lists are the world's own: what retrieval would have found is replaced by what was shown, with its scores and sources.
"""

import asyncio
import base64
from dataclasses import dataclass

import msgspec
import numpy as np

from tests.parity.world import Trained, online_row
from tests.unit.recommend.world import ExactIndex, Rows
from watchnext.clock import FixedClock
from watchnext.contracts.api import RecommendAnswer, RecommendRequest
from watchnext.contracts.envelope import Candidates
from watchnext.generation.bundle import Bundle
from watchnext.models.scorer import Scorer
from watchnext.recommend.prepared import PreparedGeneration
from watchnext.recommend.ranking import Guard
from watchnext.recommend.retrieval import Retriever
from watchnext.settings import Serving, Settings

WAIT_MS = 10_000
SERVING = Serving(allow_client_time=True, features_budget_ms=WAIT_MS, index_budget_ms=WAIT_MS, ranker_budget_ms=WAIT_MS)


class InProcess:
    """A predictor that needs no server, and keeps what it was asked."""

    def __init__(self, scorer: Scorer) -> None:
        self.scorer = scorer
        self.payloads: list[bytes] = []

    async def score(self, version: str, payload: bytes) -> bytes:
        self.payloads.append(payload)
        return self.scorer.answer(payload)


@dataclass(frozen=True)
class Served:
    """One answer, and what was sent to the ranker for it."""

    request: RecommendRequest
    answer: RecommendAnswer
    payload: bytes

    def features(self) -> dict[str, np.ndarray]:
        """The logged feature vector of each video."""
        return {item.video_id: np.frombuffer(base64.b64decode(item.features), "<f4") for item in self.answer.items}

    def expected_seconds(self) -> dict[str, float | None]:
        return {item.video_id: item.expected_seconds for item in self.answer.items}


def serve(world: Trained, bundle: Bundle) -> dict[str, Served]:
    """Answer every list of `world.shown` with `bundle`, by request id, at its time and for its user as of then."""
    predictor = InProcess(
        Scorer(bundle.ranker, bundle.quantiles, bundle.videos, generation=bundle.id, overlay=bundle.overlay)
    )
    guard = Guard(predictor, SERVING, clock=FixedClock(0))
    live, online = PreparedGeneration.of(bundle), Rows({})
    retriever = Retriever(
        Settings(serving=SERVING),
        features=online,
        index=ExactIndex(bundle.vectors),
        live=lambda: live,
        clock=FixedClock(0),
    )
    answered = {}
    for request_id, shown in world.shown.groupby("request_id", sort=False):
        first = shown.iloc[0]
        online.users[first["user_id"]] = online_row(first["user_id"], first["as_of_ms"], world.settings)
        request = RecommendRequest(
            user_id=first["user_id"],
            request_id=str(request_id),
            k=len(shown),
            surface=first["surface"],
            device=first["device"],
            country=first["country"],
            seed_video_id=first["seed_video_id"],
            now_ms=int(first["now_ms"]),
            deadline_ms=WAIT_MS,
        )
        rows = bundle.vocabularies.videos.indices(shown["video_id"])
        candidates = Candidates.of(
            shown["video_id"].tolist(), rows, shown["score"].to_numpy(), shown["sources"].to_numpy()
        )
        envelope = msgspec.structs.replace(retriever.retrieve(request), candidates=candidates)
        answer = asyncio.run(guard.answer(envelope))
        assert answer.degraded == []
        answered[request.request_id] = Served(request, answer, predictor.payloads[-1])
    retriever.close()
    return answered
