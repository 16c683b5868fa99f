"""A caller's three ways to an answer: the gateway's REST, its gRPC, and the bare graph through the router.

Each raises `RequestError` where the request is refused and `GatewayError` or `GraphError` where no answer came, in one
sentence that names the address.
"""

from typing import Any, Final

import grpc
import httpx
from grpc_health.v1 import health_pb2, health_pb2_grpc

from watchnext.contracts.api import RecommendAnswer, RecommendRequest, decode_answer, encode
from watchnext.errors import AuthenticationError, ConfigError, GatewayError, GraphError, OverloadError, RequestError
from watchnext.ops.http import address
from watchnext.recommend.graph import HEADERS, read_answer
from watchnext.recommend.wire import answer_from_proto, request_to_proto
from watchnext.settings import Settings
from watchnext.v1 import recommend_pb2_grpc

TIMEOUT_S: Final = 10.0
PATH: Final = "/v1/recommendations"
NO_PROXY: Final = (("grpc.enable_http_proxy", 0),)  # as REST's `trust_env=False`


def rest_url(settings: Settings) -> str:
    """Address of the gateway's REST."""
    return f"http://{address(settings.gateway.host, settings.gateway.rest_port)}"


def ask_rest(settings: Settings, request: RecommendRequest) -> RecommendAnswer:
    """The gateway's answer over REST.

    Raises:
        RequestError, AuthenticationError, OverloadError: refused.
        ConfigError: its address is none.
        GatewayError: the gateway is down or failed.
    """
    url = rest_url(settings)
    try:
        response = httpx.post(
            url + PATH, content=encode(request), headers=HEADERS | _key(settings), timeout=TIMEOUT_S, trust_env=False
        )
    except httpx.InvalidURL as error:  # no HTTPError
        raise ConfigError(f"setting gateway.host = {settings.gateway.host!r} makes no URL: {error}") from error
    except httpx.HTTPError as error:
        raise GatewayError(
            f"the gateway at {url} cannot be reached ({type(error).__name__}); start it with `watchnext up`"
        ) from error
    if response.status_code == httpx.codes.OK:
        try:
            return decode_answer(response.content)
        except RequestError as error:
            raise GatewayError(f"what answered at {url} is no gateway of this release: {error}") from error
    message = _error_message(response)
    if response.status_code == httpx.codes.BAD_REQUEST:
        raise RequestError(message)
    if response.status_code == httpx.codes.UNAUTHORIZED:
        raise AuthenticationError(message)
    if response.status_code == httpx.codes.SERVICE_UNAVAILABLE:
        raise OverloadError(message)
    raise GatewayError(f"the gateway at {url} answered {response.status_code}: {message}")


def ask_grpc(settings: Settings, request: RecommendRequest) -> RecommendAnswer:
    """The gateway's answer over gRPC.

    Raises:
        RequestError, AuthenticationError, OverloadError: refused.
        GatewayError: the gateway is down or failed.
    """
    target = address(settings.gateway.host, settings.gateway.grpc_port)
    with grpc.insecure_channel(target, options=NO_PROXY) as channel:
        stub = recommend_pb2_grpc.RecommenderStub(channel)  # type: ignore[no-untyped-call]
        try:
            message = stub.Recommend(
                request_to_proto(request), timeout=TIMEOUT_S, metadata=tuple(_key(settings).items())
            )
        except grpc.RpcError as error:
            raise _grpc_error(error, target) from error
    return answer_from_proto(message)


def grpc_health(settings: Settings) -> str:
    """What the gateway says of itself by gRPC's health protocol, such as SERVING.

    Raises:
        GatewayError: the gateway is down.
    """
    target = address(settings.gateway.host, settings.gateway.grpc_port)
    with grpc.insecure_channel(target, options=NO_PROXY) as channel:
        try:
            answer = health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=TIMEOUT_S)
        except grpc.RpcError as error:
            raise _grpc_error(error, target) from error
    return str(health_pb2.HealthCheckResponse.ServingStatus.Name(answer.status))


def ask_graph(settings: Settings, request: RecommendRequest) -> RecommendAnswer:
    """The graph's answer through the router, without the gateway: no key, no static list, no served event.

    Raises:
        RequestError: refused.
        ConfigError: its address is none.
        GraphError: the router or a step is down.
    """
    url = settings.gateway.graph_url
    try:
        response = httpx.post(url, content=encode(request), headers=HEADERS, timeout=TIMEOUT_S, trust_env=False)
    except httpx.InvalidURL as error:
        raise ConfigError(f"setting gateway.graph_url = {url!r} is no URL: {error}") from error
    except httpx.HTTPError as error:
        raise GraphError(
            f"the router at {url} cannot be reached ({type(error).__name__}); start it with `watchnext up`"
        ) from error
    return read_answer(response.status_code, response.content)


def _key(settings: Settings) -> dict[str, str]:
    keys = settings.gateway.api_keys
    return {"x-api-key": keys[0].get_secret_value()} if keys else {}


def _error_message(response: httpx.Response) -> str:
    try:
        return str(response.json()["error"]["message"])
    except (ValueError, KeyError, TypeError):
        return response.text[:300]


def _grpc_error(error: Any, target: str) -> Exception:
    kinds = {
        grpc.StatusCode.INVALID_ARGUMENT: RequestError,
        grpc.StatusCode.UNAUTHENTICATED: AuthenticationError,
        grpc.StatusCode.RESOURCE_EXHAUSTED: OverloadError,
    }
    code = error.code()
    if code in kinds:
        return kinds[code](error.details())
    if code == grpc.StatusCode.UNAVAILABLE:
        return GatewayError(f"the gateway at {target} (gRPC) cannot be reached; start it with `watchnext up`")
    return GatewayError(f"the gateway at {target} (gRPC) answered {code.name}: {error.details()}")
