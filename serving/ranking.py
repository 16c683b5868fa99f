"""Step 2's transformer, the guard: envelope in, answer out. `python -m serving.ranking`.

`POST /v1/models/ranker:predict`. Ready as soon as it runs: whether TorchServe answers is the ladder's business.
"""

from typing import Any

from kserve import Model
from kserve.errors import InferenceError

from serving.kserve_server import run
from watchnext.clock import SystemClock
from watchnext.contracts.api import encode
from watchnext.contracts.envelope import convert
from watchnext.contracts.names import MODEL_RANKER
from watchnext.errors import EnvelopeError
from watchnext.ops.logs import configure_logs, last_words
from watchnext.ops.tracing import send_traces
from watchnext.recommend.ranking import Guard, TorchServe
from watchnext.settings import Settings, load_settings


class RankingModel(Model):  # type: ignore[misc]  # kserve has no types
    """Translates; `Guard` decides."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(MODEL_RANKER, return_response_headers=True)
        self._ranker = TorchServe(settings.serving.ranker_url)
        self._guard = Guard(self._ranker, settings.serving, clock=SystemClock())

    async def predict(
        self, payload: Any, headers: dict[str, str] | None = None, response_headers: dict[str, str] | None = None
    ) -> bytes:
        """The answer's JSON.

        Raises:
            InferenceError: HTTP 500, the gateway's `graph` rung: what retrieval sent is no fault of the caller.
        """
        if response_headers is not None:
            response_headers["content-type"] = "application/json"
        try:
            return encode(await self._guard.answer(convert(payload)))
        except EnvelopeError as error:
            raise InferenceError(str(error)) from error

    async def close(self) -> None:
        """Close the connections to TorchServe."""
        await self._ranker.close()


if __name__ == "__main__":
    configure_logs()
    with last_words("ranking"):
        loaded = load_settings()
        send_traces(loaded.ops, "ranking")
        model = RankingModel(loaded)
        run(model, host=loaded.serving.host, port=loaded.serving.ranking_port, close=model.close)
