"""KServe's model server on one address. Upstream binds all interfaces and has no option for it.

`kserve` reads `sys.argv` when it is imported; every argument that matters is given here instead.
"""

import asyncio
import logging
import sys
from collections.abc import Awaitable, Callable

import uvloop
from kserve import Model, ModelServer

from serving.lifecycle import settle

# A thread that wants the interpreter waits this long for one that computes. Python's 5 ms are paid at every hand-over
# between the loop, a request's thread and its backends' threads, where two requests meet.
SWITCH_SECONDS = 0.0005


class BoundServer(ModelServer):  # type: ignore[misc]  # kserve has no types
    """Listens on `host` only, over REST only (its gRPC has no health and no reflection)."""

    def __init__(self, host: str, port: int, close: Callable[[], Awaitable[None]] | None) -> None:
        super().__init__(
            http_port=port,
            workers=1,
            enable_grpc=False,
            enable_docs_url=False,
            enable_latency_logging=False,
            grace_period=5,
        )
        self._host = host
        self._close = close

    async def _serve(self) -> None:
        self._rest_server.config.host = self._host
        for name in ("uvicorn.access", "kserve.trace"):  # a line for each request and two of its times
            logging.getLogger(name).setLevel(logging.WARNING)
        try:
            await super()._serve()
        finally:
            if self._close is not None:
                await self._close()


def run(model: Model, *, host: str, port: int, close: Callable[[], Awaitable[None]] | None = None) -> None:
    """Load and warm up `model`, then serve it until SIGTERM, and `close` its connections on the loop that it ran on."""
    model.load()
    settle()
    sys.setswitchinterval(SWITCH_SECONDS)
    asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())  # `ModelServer.start` would take asyncio's own loop
    asyncio.set_event_loop(asyncio.new_event_loop())  # it asks for the current one first, which asyncio's own makes
    BoundServer(host, port, close).start([model])
