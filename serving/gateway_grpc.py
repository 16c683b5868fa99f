"""The gateway's gRPC: `watchnext.v1.Recommender`, with health and reflection."""

import asyncio
import time

import grpc
import grpc.aio
import structlog
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from watchnext.contracts.api import MAX_BODY
from watchnext.errors import AuthenticationError, OverloadError, RequestError, ServerError
from watchnext.ops.metrics import ANSWER_SECONDS, ANSWERS
from watchnext.recommend.gateway import INTERNAL, Gateway
from watchnext.recommend.wire import answer_to_proto, request_from_proto
from watchnext.v1 import recommend_pb2 as pb
from watchnext.v1 import recommend_pb2_grpc

SERVICE = pb.DESCRIPTOR.services_by_name["Recommender"].full_name
CODES = {
    RequestError: grpc.StatusCode.INVALID_ARGUMENT,
    AuthenticationError: grpc.StatusCode.UNAUTHENTICATED,
    OverloadError: grpc.StatusCode.RESOURCE_EXHAUSTED,
}

_log = structlog.get_logger(__name__)


class Recommender(recommend_pb2_grpc.RecommenderServicer):
    """Translates; `Gateway` decides."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    async def Recommend(  # noqa: N802  (the name is the proto's)
        self, request: pb.RecommendRequest, context: grpc.aio.ServicerContext
    ) -> pb.RecommendAnswer:
        """One answer."""
        started = time.perf_counter()
        code = grpc.StatusCode.OK
        try:
            metadata = {str(name): str(value) for name, value in context.invocation_metadata() or ()}
            self._gateway.authenticate(_key(metadata))
            if request.ByteSize() > MAX_BODY:
                raise RequestError(f"the message is longer than {MAX_BODY:,} bytes")
            left = context.time_remaining()
            answer = await self._gateway.recommend(
                request_from_proto(request),
                budget_ms=None if left is None else left * 1000,
                traceparent=metadata.get("traceparent", ""),
            )
            return answer_to_proto(answer)
        except (RequestError, AuthenticationError, OverloadError) as error:
            code = CODES[type(error)]
            await context.abort(code, str(error))
            raise  # `abort` does, and has no type that says so
        except asyncio.CancelledError:
            code = grpc.StatusCode.DEADLINE_EXCEEDED if context.time_remaining() == 0 else grpc.StatusCode.CANCELLED
            raise
        except Exception:
            _log.exception("answer_failed", protocol="grpc")
            code = grpc.StatusCode.INTERNAL
            await context.abort(code, INTERNAL)
            raise
        finally:
            ANSWERS.labels("grpc", code.name).inc()
            ANSWER_SECONDS.labels("grpc").observe(time.perf_counter() - started)


def build(gateway: Gateway, address: str) -> tuple[grpc.aio.Server, health.aio.HealthServicer]:
    """The server, not started, and its health.

    Raises:
        ServerError: the port is in use, or the host is not ours.
    """
    server = grpc.aio.server(options=(("grpc.so_reuseport", 0),))  # or two servers on one port share its calls
    recommend_pb2_grpc.add_RecommenderServicer_to_server(Recommender(gateway), server)  # type: ignore[no-untyped-call]
    status = health.aio.HealthServicer()
    health_pb2_grpc.add_HealthServicer_to_server(status, server)
    reflection.enable_server_reflection((SERVICE, health.SERVICE_NAME, reflection.SERVICE_NAME), server)
    try:
        server.add_insecure_port(address)
    except RuntimeError as error:
        raise ServerError(f"cannot listen on {address} for gRPC; gateway.grpc_port names another port") from error
    return server, status


async def set_serving(status: health.aio.HealthServicer, serving: bool) -> None:
    """Tell health checks whether to send requests."""
    state = health_pb2.HealthCheckResponse.SERVING if serving else health_pb2.HealthCheckResponse.NOT_SERVING
    for name in ("", SERVICE):
        await status.set(name, state)


def _key(metadata: dict[str, str]) -> str:
    scheme, _, token = metadata.get("authorization", "").partition(" ")
    return metadata.get("x-api-key", "") or (token.strip() if scheme.lower() == "bearer" else "")
