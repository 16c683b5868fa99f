"""Step 1, retrieval: one read of the user's features, the user tower, Milvus, the other sources, filters, merge.

It answers while it lives. What is down or late costs a rung (`docs/ladder.md`), and each backend has a budget and a
breaker of its own, so that a hung one costs its budget a few times and then nothing:

    nothing published    no candidates, degraded ["generation"]
    features down        popular videos of the country, degraded ["features"]
    Milvus down          all sources but the tower, degraded ["index"]

A user whom no event or profile describes gets popular videos, and nothing is degraded: that is the right answer, and
it is not ranked, because the ranker would know no more of the user than the list does.
"""

import base64
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Protocol

import numpy as np
import structlog
from numpy.typing import NDArray

from watchnext.clock import Clock
from watchnext.contracts.api import RecommendRequest
from watchnext.contracts.envelope import Candidates, Envelope
from watchnext.contracts.names import Degraded, Source
from watchnext.errors import UnavailableError
from watchnext.features.batches import UserColumns, known_rows
from watchnext.features.codec import pack
from watchnext.features.state import EncodedUser, RequestContext, UserState, encode_user
from watchnext.ops import tracing
from watchnext.ops.metrics import CANDIDATES
from watchnext.recommend.breaker import Bounded, Breaker, Call
from watchnext.recommend.filters import Filter
from watchnext.recommend.merge import NOTHING, Merged, merge
from watchnext.recommend.prepared import PreparedGeneration
from watchnext.recommend.sources import OTHERS, SourceTables, first, topped_up
from watchnext.recommend.trace import Trace
from watchnext.settings import Settings

OVERFETCH: Final = 1_000  # more than asked of Milvus, at most, for what the filters take away
THREADS: Final = 8  # for each backend

Found = tuple[NDArray[np.int32], NDArray[np.float32]]  # rows and scores, [queries, k]

_log = structlog.get_logger(__name__)


class UserRows(Protocol):
    """What is needed of `store.FeatureStoreRows`."""

    def read_user(self, user_id: str) -> dict[str, Any]:
        """All features of a user; empty where there are none."""
        ...


class VectorSearch(Protocol):
    """What is needed of `index.VideoIndex`."""

    def search(self, collection: str, vectors: NDArray[np.float32], k: int) -> Found:
        """Rows and scores `[queries, k]`, padded with row 0."""
        ...


class Retriever:
    """Finds candidates. Safe to call from several threads."""

    def __init__(
        self,
        settings: Settings,
        *,
        features: UserRows,
        index: VectorSearch,
        live: Callable[[], PreparedGeneration | None],
        clock: Clock,
    ) -> None:
        self._settings = settings.serving
        self._live = live
        self._clock = clock
        self._features = Bounded(features.read_user, threads=THREADS, breaker=self._breaker("feature store"))
        self._index = Bounded(index.search, threads=THREADS, breaker=self._breaker("Milvus"))
        self._similar = Bounded(SourceTables.neighbours, threads=2, breaker=self._breaker("similar videos"))

    def retrieve(self, request: RecommendRequest) -> Envelope:
        """The candidates of a checked request; never fails for a part that is down."""
        with tracing.span("retrieval", request.traceparent, kind=tracing.ANSWER) as span:
            trace = Trace(request, request.traceparent or tracing.traceparent())
            envelope = self._retrieve(request, trace)
            span.set_attributes(
                tracing.described(request.request_id, envelope.generation, envelope.overlay, envelope.degraded)
            )
        return envelope

    def _retrieve(self, request: RecommendRequest, trace: Trace) -> Envelope:
        now_ms = request.now_ms if request.now_ms and self._settings.allow_client_time else self._clock.now_ms()
        live = self._live()
        if live is None:
            trace.without(Degraded.GENERATION)
            return self._envelope(trace, now_ms, why_not=dict.fromkeys(request.why_not, "no generation is published"))
        values: dict[str, Any] = {}
        try:
            values = self._features.start(request.user_id).result(self._settings.features_budget_ms)
            state = UserState.from_rows(values)
        except (UnavailableError, ValueError) as error:  # ValueError: a row that does not fit together
            trace.lost(Degraded.FEATURES, error)
            state = UserState()
        trace.stage("features")
        rules = Filter.of(live.bundle, state, request)
        if trace.degraded or not (is_described(values) or rules.seed):
            return self._popular(trace, now_ms, live, rules)
        return self._personal(trace, now_ms, live, rules, state)

    def close(self) -> None:
        """Let go of the threads."""
        for pool in (self._features, self._index, self._similar):
            pool.close()

    def _popular(self, trace: Trace, now_ms: int, live: PreparedGeneration, rules: Filter) -> Envelope:
        """Popular videos of the country, in that order, not to be ranked."""
        request = trace.request
        rows = live.tables.popular_in(rules.country, rules.allowed, self._count(request))
        trace.stage("sources")
        merged = Merged(rows, np.zeros(len(rows), np.float32), np.full(len(rows), Source.POPULAR, np.int32))
        why_not = rules.why_not(request.why_not, merged)
        return self._envelope(trace, now_ms, live=live, merged=merged, why_not=why_not)

    def _personal(
        self, trace: Trace, now_ms: int, live: PreparedGeneration, rules: Filter, state: UserState
    ) -> Envelope:
        """Candidates of all sources, to be ranked."""
        request, bundle = trace.request, live.bundle
        count = self._count(request)
        context = RequestContext(
            now_ms=now_ms,
            surface=request.surface,
            device=request.device,
            country=request.country,
            seed_video_id=request.seed_video_id,
        )
        user = encode_user(state, context, bundle.vocabularies)
        columns = UserColumns.of([user])
        vector = live.user_vector(columns)
        trace.stage("tower")
        wanted = min(count + min(rules.removed, OVERFETCH), len(bundle.vectors) - 1)
        began = time.perf_counter()
        search = self._index.start(bundle.collection, vector[None, :], wanted)
        affinity = live.tables.affinity(vector, np.append(known_rows(columns)[0], rules.seed))
        alike = live.tables.met_with(np.array([rules.seed])) if rules.seed else affinity.met
        others = self._others(trace, live, rules, user, alike, now_ms)
        trace.stage("sources")
        tower = self._found(trace, search, rules)
        merged = merge(
            tower,
            others,
            lambda: live.tables.popular_in(rules.country, rules.allowed, count),
            count=count,
            affinity=affinity,
        )
        trace.stage("index", began)
        return self._envelope(
            trace,
            now_ms,
            live=live,
            merged=merged,
            state=base64.b64encode(pack({}, user.to_columns())).decode("ascii"),
            nearest=live.tables.nearest(merged.rows, user.history[user.history > 0]) if request.explain else [],
            why_not=rules.why_not(request.why_not, merged),
        )

    def _others(
        self,
        trace: Trace,
        live: PreparedGeneration,
        rules: Filter,
        user: EncodedUser,
        met: NDArray[np.float32],
        now_ms: int,
    ) -> dict[Source, NDArray[np.int32]]:
        """The sources beside the tower; where too few were met with the anchor, those nearest to it are similar."""
        tables, watched = live.tables, user.history[user.history > 0]
        found = tables.others(met, most_watched(user), now_ms, rules.allowed)
        anchor = rules.seed or (int(watched[-1]) if len(watched) else 0)
        if anchor and len(found[Source.SIMILAR]) < OTHERS:
            search = self._similar.start(tables, anchor)
            try:
                nearest = search.result(self._settings.index_budget_ms)
                found[Source.SIMILAR] = topped_up(found[Source.SIMILAR], nearest, rules.allowed, OTHERS)
            except UnavailableError as error:
                trace.source_lost(Source.SIMILAR, error)
        return found

    def _found(self, trace: Trace, search: Call[Found], rules: Filter) -> NDArray[np.int32]:
        """The tower's videos, or none and a rung."""
        try:
            rows, _ = search.result(self._settings.index_budget_ms)
        except UnavailableError as error:
            trace.lost(Degraded.INDEX, error)
            return np.zeros(0, np.int32)
        return first(rows[0], rules.allowed, len(rows[0]))

    def _count(self, request: RecommendRequest) -> int:
        return max(self._settings.candidates, request.k)

    def _breaker(self, backend: str) -> Breaker:
        return Breaker(backend, failures=self._settings.breaker_failures, seconds=self._settings.breaker_seconds)

    def _envelope(
        self,
        trace: Trace,
        now_ms: int,
        *,
        live: PreparedGeneration | None = None,
        merged: Merged = NOTHING,
        state: str = "",
        nearest: Sequence[str] = (),
        why_not: dict[str, str],
    ) -> Envelope:
        request = trace.request
        ids = [live.bundle.videos.video_ids[row] for row in merged.rows.tolist()] if live else []
        CANDIDATES.observe(len(ids))
        return Envelope(
            request_id=request.request_id,
            traceparent=trace.traceparent,
            user_id=request.user_id,
            arm=request.arm,
            generation=live.bundle.id if live else "",
            overlay=live.bundle.overlay if live else 0,
            now_ms=now_ms,
            deadline_ms=request.deadline_ms or self._clock.now_ms() + self._settings.deadline_ms,
            k=request.k,
            surface=request.surface,
            device=request.device,
            country=request.country,
            seed_video_id=request.seed_video_id,
            explain=request.explain,
            rankable=bool(state),
            state=state,
            candidates=Candidates.of(ids, merged.rows, merged.scores, merged.sources),
            degraded=trace.degraded,
            nearest_watched=list(nearest),
            why_not=why_not,
            stages_ms=trace.stages_ms,
        )


def is_described(values: Mapping[str, Any]) -> bool:
    """Whether a watch, a search or a profile tells of the user; lists that we served ourselves do not."""
    return any(name in values for name in ("watch_video_ids", "search_tokens", "logged_in"))


def most_watched(user: EncodedUser) -> list[int]:
    """Channels by watches, then by the last watch, then by index."""
    order = np.lexsort((user.channels, -user.channel_at, -user.channel_watches))
    return [int(channel) for channel in user.channels[order] if channel > 0]
