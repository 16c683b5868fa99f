"""KServe's model server on one address. Upstream binds all interfaces and has no option for it.

`kserve` reads `sys.argv` when it is imported; every argument that matters is given here instead.
"""

from kserve import Model, ModelServer

from serving.lifecycle import settle


class BoundServer(ModelServer):
    """Listens on `host` only, over REST only (its gRPC has no health and no reflection)."""

    def __init__(self, host: str, port: int) -> None:
        super().__init__(
            http_port=port,
            workers=1,
            enable_grpc=False,
            enable_docs_url=False,
            enable_latency_logging=False,
            grace_period=5,
        )
        self._host = host

    async def _serve(self) -> None:
        self._rest_server.config.host = self._host
        await super()._serve()


def run(model: Model, *, host: str, port: int) -> None:
    """Load and warm up `model`, then serve it until SIGTERM."""
    model.load()
    settle()
    BoundServer(host, port).start([model])
