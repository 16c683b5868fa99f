"""What every serving benchmark speaks of: a running stack's live generation and one user's request, in this process."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import duckdb
import numpy as np
from numpy.typing import NDArray

from watchnext.clock import SystemClock
from watchnext.contracts import api, envelope
from watchnext.contracts.names import View
from watchnext.errors import WatchnextError
from watchnext.features.codec import pack, unpack
from watchnext.features.state import EncodedUser
from watchnext.generation.store import GenerationStore
from watchnext.index.milvus import VideoIndex
from watchnext.models.scorer import Scorer
from watchnext.recommend.prepared import PreparedGeneration
from watchnext.recommend.retrieval import Retriever
from watchnext.settings import Settings
from watchnext.store.rows import FeatureStoreRows

CANDIDATES: Final = 500
INNER: Final = 20  # calls a round: one call is too short to time


@dataclass(frozen=True)
class Bench:
    """One user's request, and every part that it passes through, in this process."""

    settings: Settings
    prepared: PreparedGeneration
    rows: FeatureStoreRows
    retriever: Retriever
    scorer: Scorer
    users: list[str]
    user: str
    envelope: envelope.Envelope
    payload: bytes

    @classmethod
    def open(cls, settings: Settings) -> "Bench":
        store = GenerationStore.open(settings)
        live = store.live()
        bundle = store.load(live.generation, live.overlay)
        prepared = PreparedGeneration.of(bundle)
        rows = FeatureStoreRows.open(settings)
        index = VideoIndex.open(settings)
        rows.warm_up()
        index.warm_up()
        retriever = Retriever(settings, features=rows, index=index, live=lambda: prepared, clock=SystemClock())
        users = users_with_histories(settings)
        found = retriever.retrieve(request_of(users[0]))
        if len(found.candidates.video_ids) < CANDIDATES or not found.rankable:
            raise WatchnextError(
                f"user {users[0]} has {len(found.candidates.video_ids)} candidates; "
                f"wanted {CANDIDATES}: run `watchnext demo`"
            )
        _, state = unpack(found.state_bytes())
        meta = {"generation": bundle.id, "overlay": bundle.overlay, "now_ms": found.now_ms, "k": 20, "explain": False}
        payload = pack(meta, found.candidates.columns() | {f"user.{name}": column for name, column in state.items()})
        scorer = Scorer(bundle.ranker, bundle.quantiles, bundle.videos, generation=bundle.id, overlay=bundle.overlay)
        return cls(settings, prepared, rows, retriever, scorer, users, users[0], found, payload)

    def candidates(self) -> tuple[EncodedUser, dict[str, NDArray[np.generic]]]:
        _, columns = unpack(self.payload)
        user = EncodedUser.from_columns(
            {name.removeprefix("user."): column for name, column in columns.items() if name.startswith("user.")}
        )
        return user, {name: columns[name] for name in ("row", "score", "sources")}


def users_with_histories(settings: Settings, wanted: int = 200) -> list[str]:
    """Users of the offline log with at least five watches."""
    log = f"{settings.offline_path}/{View.USER_WATCHES.value}/*.parquet"
    try:
        found = duckdb.execute(
            "SELECT user_id FROM read_parquet($log) GROUP BY user_id HAVING max(watches) >= 5 ORDER BY hash(user_id)",
            {"log": log},
        ).fetchall()
    except duckdb.Error as error:
        raise WatchnextError(f"the offline log cannot be read ({error}): run `watchnext demo` first") from error
    if not found:
        raise WatchnextError("no user with five watches is in the offline log: run `watchnext demo` first")
    return [user for (user,) in found[:wanted]]


def request_of(user: str) -> api.RecommendRequest:
    return api.RecommendRequest(user_id=user, k=20, request_id="bench")


def seconds_of(call: Callable[[], object], times: int = INNER) -> Callable[[], float]:
    """Seconds a call, mean of `times`."""

    def run() -> float:
        began = time.perf_counter()
        for _ in range(times):
            call()
        return (time.perf_counter() - began) / times

    return run
