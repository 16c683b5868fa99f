"""The gateway's process: REST and gRPC on one event loop. `python -m serving.gateway`."""

import asyncio
import contextlib
from collections.abc import Iterator

import structlog
import uvicorn

from serving import gateway_grpc, gateway_rest
from serving.lifecycle import DRAIN_SECONDS, Lifecycle, settle
from watchnext.clock import SystemClock
from watchnext.generation.static import StaticList
from watchnext.generation.store import GenerationStore
from watchnext.ops.http import address, listen_on
from watchnext.ops.logs import configure_logs, last_words
from watchnext.ops.tracing import send_traces
from watchnext.recommend.gateway import Gateway
from watchnext.recommend.graph import Graph
from watchnext.recommend.served import ServedLog
from watchnext.settings import Settings, load_settings
from watchnext.stream.producer import EventProducer

STOP_SECONDS = 5
KEEP_ALIVE_SECONDS = 75  # longer than load balancers keep an idle connection: a request would meet our close

_log = structlog.get_logger(__name__)


class _Server(uvicorn.Server):
    """uvicorn without signal handlers of its own: `Lifecycle` ends both protocols together."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def serve(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT."""
    place = settings.gateway
    send_traces(settings.ops, "gateway")
    lifecycle = Lifecycle()
    graph = Graph(place.graph_url, connections=place.max_concurrent)
    served = None
    if place.write_served:
        served = ServedLog(lambda: EventProducer(settings), write_impressions=place.write_impressions)
    static = StaticList(GenerationStore.open(settings))
    gateway = Gateway(settings, graph, served, popular=static.ids, clock=SystemClock())
    grpc_server, health = gateway_grpc.build(gateway, address(place.host, place.grpc_port))
    rest = _Server(
        uvicorn.Config(
            gateway_rest.build(gateway, lifecycle),
            log_config=None,
            access_log=False,
            timeout_keep_alive=KEEP_ALIVE_SECONDS,
            timeout_graceful_shutdown=STOP_SECONDS,
        )
    )
    lifecycle.listen()
    static.start()
    listener = listen_on(place.host, place.rest_port, "gateway.rest_port")
    await grpc_server.start()
    serving = asyncio.create_task(rest.serve(sockets=[listener]))
    await gateway_grpc.set_serving(health, True)
    settle()
    lifecycle.ready = True
    _log.info("gateway_ready", rest=place.rest_port, grpc=place.grpc_port, graph=place.graph_url)

    await lifecycle.stopping.wait()
    lifecycle.ready = False
    await gateway_grpc.set_serving(health, False)
    await asyncio.sleep(DRAIN_SECONDS)
    rest.should_exit = True
    await asyncio.gather(serving, grpc_server.stop(STOP_SECONDS))
    static.stop()
    if served is not None:
        await asyncio.to_thread(served.close)
    await graph.close()


if __name__ == "__main__":
    configure_logs()
    with last_words("gateway"):
        asyncio.run(serve(load_settings()))
