"""Step 1, retrieval: request in, envelope out. `python -m serving.retrieval`.

`POST /v1/models/retrieval:predict`. Ready once what is live is loaded and the backends were tried, so that a rollout
keeps the pods that serve until the new ones do. A backend that is away or a generation that does not load
has no say in it.
"""

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import structlog
import torch
from fastapi import HTTPException
from kserve import Model
from kserve.errors import InvalidInput

from serving.kserve_server import run
from watchnext.clock import SystemClock
from watchnext.contracts.api import RecommendRequest, convert_request
from watchnext.contracts.envelope import Envelope, encode
from watchnext.contracts.names import MODEL_RETRIEVAL
from watchnext.errors import GenerationError, RequestError, StoreError, VectorIndexError
from watchnext.generation.follow import Follower, replica_name
from watchnext.generation.store import GenerationStore
from watchnext.index.milvus import VideoIndex
from watchnext.ops.logs import configure_logs, last_words
from watchnext.ops.tracing import send_traces
from watchnext.recommend.prepared import PreparedGeneration
from watchnext.recommend.retrieval import Retriever
from watchnext.settings import Settings, load_settings
from watchnext.store.rows import FeatureStoreRows

THREADS = 16  # requests at a time; each waits for its backends most of the time
WARM_UP_SECONDS = 20.0  # for a backend, or for a live generation that does not load

_log = structlog.get_logger(__name__)


class RetrievalModel(Model):  # type: ignore[misc]  # kserve has no types
    """Translates; `Retriever` decides."""

    def __init__(self, settings: Settings, store: GenerationStore, follower: Follower[PreparedGeneration]) -> None:
        super().__init__(MODEL_RETRIEVAL, return_response_headers=True)
        self._store = store
        self._deadline_s = settings.serving.deadline_ms / 1000
        self._features = FeatureStoreRows.open(settings)
        self._index = VideoIndex.open(settings)
        self._follower = follower
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="retrieve")
        self._retriever = Retriever(
            settings,
            features=self._features,
            index=self._index,
            live=follower.current,
            clock=SystemClock(),
        )

    def load(self) -> bool:
        """Pay for imports, connections and the generation before the first request does."""
        try:
            self._store.live()  # raises at once where nothing is published
            self._follower.wait(WARM_UP_SECONDS)
        except GenerationError as error:
            _log.warning("no_generation", error=str(error))
        for backend in (self._features, self._index):
            try:
                self._threads.submit(backend.warm_up).result(WARM_UP_SECONDS)
            except (StoreError, VectorIndexError, TimeoutError) as error:
                _log.warning("not_warm", backend=type(backend).__name__, error=str(error))
        self.ready = True
        return self.ready

    async def predict(
        self, payload: Any, headers: dict[str, str] | None = None, response_headers: dict[str, str] | None = None
    ) -> bytes:
        """The envelope's JSON.

        Raises:
            InvalidInput: HTTP 400: the request is wrong.
            HTTPException: 503: it waited here until nobody waited for it any more.
        """
        if response_headers is not None:
            response_headers["content-type"] = "application/json"
        try:
            request = convert_request(payload)
        except RequestError as error:
            raise InvalidInput(str(error)) from error
        loop = asyncio.get_running_loop()
        return encode(await loop.run_in_executor(self._threads, self._retrieve, request, time.monotonic()))

    def _retrieve(self, request: RecommendRequest, came: float) -> Envelope:
        """The gateway gives no request more than `serving.deadline_ms`: what has queued that long is dropped unworked.

        So the queue holds no more than comes in that time. The wait is measured here: clocks of two pods may differ.
        """
        waited = time.monotonic() - came
        if request.deadline_ms and waited > self._deadline_s:
            raise HTTPException(
                503, f"it waited {waited:.1f} s for one of {THREADS} threads, and nobody waits for it now"
            )
        return self._retriever.retrieve(request)


if __name__ == "__main__":
    configure_logs()
    with last_words("retrieval"):
        loaded = load_settings()
        send_traces(loaded.ops, MODEL_RETRIEVAL)
        torch.set_num_threads(1)
        store = GenerationStore.open(loaded)
        following: Follower[PreparedGeneration] = Follower(
            store,
            replica_name(MODEL_RETRIEVAL),
            lambda generation, overlay: PreparedGeneration.of(store.load(generation, overlay)),
            poll_s=loaded.generations.poll_s,
        )
        with following:
            run(RetrievalModel(loaded, store, following), host=loaded.serving.host, port=loaded.serving.retrieval_port)
