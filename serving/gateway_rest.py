"""The gateway's REST: `/v1/recommendations`, its OpenAPI, and the four pages that a cluster asks for."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
import structlog
from fastapi import FastAPI, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

import watchnext
from serving.lifecycle import Lifecycle
from watchnext.contracts.api import MAX_BODY, RecommendRequest, convert_request, decode_request, encode
from watchnext.errors import AuthenticationError, OverloadError, RequestError
from watchnext.ops.metrics import ANSWER_SECONDS, ANSWERS
from watchnext.recommend.gateway import INTERNAL, Gateway, public
from watchnext.recommend.openapi import describe

MAX_TIMEOUT_MS = 600_000
BODY_SECONDS = 10.0  # a caller who is gone without a word would hold its connection for ever
PATH = "/v1/recommendations"
GONE = 499  # nginx's status for a caller who went away: counted, seen by nobody
ERRORS: dict[type[Exception], tuple[int, str]] = {
    RequestError: (400, "invalid_argument"),
    AuthenticationError: (401, "unauthenticated"),
    OverloadError: (503, "resource_exhausted"),
}

_log = structlog.get_logger(__name__)


def build(gateway: Gateway, lifecycle: Lifecycle) -> FastAPI:
    """The application of one gateway."""
    app = FastAPI(title="watchnext", version=watchnext.__version__, redoc_url=None)
    app.openapi = lambda: describe(app.title, app.version)  # type: ignore[method-assign]

    async def answer(request: Request, read: Callable[[], Awaitable[RecommendRequest]]) -> Response:
        started = time.perf_counter()
        status = GONE  # where the task is cancelled
        try:
            response = await respond(request, read)
            status = response.status_code
            return response
        finally:
            ANSWERS.labels("rest", status).inc()
            ANSWER_SECONDS.labels("rest").observe(time.perf_counter() - started)

    async def respond(request: Request, read: Callable[[], Awaitable[RecommendRequest]]) -> Response:
        try:
            gateway.authenticate(_key(request))
            found = await gateway.recommend(
                await read(), budget_ms=_budget(request), traceparent=request.headers.get("traceparent", "")
            )
            return _json(200, encode(public(found)))
        except (RequestError, AuthenticationError, OverloadError) as error:
            return _error(*ERRORS[type(error)], str(error))
        except ClientDisconnect:
            return _error(GONE, "cancelled", "the caller went away")
        except Exception:
            _log.exception("answer_failed", protocol="rest")
            return _error(500, "internal", INTERNAL)

    @app.post(PATH)
    async def post(request: Request) -> Response:
        async def read() -> RecommendRequest:
            return decode_request(await _body(request))

        return await answer(request, read)

    @app.get(PATH)
    async def get(request: Request) -> Response:
        async def read() -> RecommendRequest:
            query: dict[str, Any] = {
                name: value for name, value in request.query_params.items() if name != "timeout_ms"
            }
            if "why_not" in query:
                query["why_not"] = request.query_params.getlist("why_not")
            return convert_request(query, strict=False)

        return await answer(request, read)

    @app.get("/healthz")
    async def healthz() -> Response:
        return _json(200, b'{"status":"alive"}')

    @app.get("/readyz")
    async def readyz() -> Response:
        return _json(200, b'{"status":"ready"}') if lifecycle.ready else _json(503, b'{"status":"draining"}')

    @app.get("/version")
    async def version() -> Response:
        return _json(200, msgspec.json.encode({"version": watchnext.__version__}))

    @app.get("/metrics")
    async def metrics() -> Response:
        return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)

    @app.exception_handler(HTTPException)
    async def http_error(_: Request, error: HTTPException) -> Response:
        codes = {404: "not_found", 405: "method_not_allowed"}
        return _error(error.status_code, codes.get(error.status_code, "invalid_argument"), str(error.detail))

    return app


def _key(request: Request) -> str:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return request.headers.get("x-api-key", "") or (token.strip() if scheme.lower() == "bearer" else "")


def _budget(request: Request) -> float | None:
    text = request.query_params.get("timeout_ms") or request.headers.get("x-timeout-ms")
    if text is None:
        return None
    short = len(text) <= len(str(MAX_TIMEOUT_MS))  # `int` raises on thousands of digits
    if not short or not text.isascii() or not text.isdigit() or not 1 <= int(text) <= MAX_TIMEOUT_MS:
        raise RequestError(f"timeout_ms = {text[:20]!r} came; wanted whole milliseconds from 1 to {MAX_TIMEOUT_MS}")
    return float(text)


async def _body(request: Request) -> bytes:
    body = bytearray()
    try:
        async with asyncio.timeout(BODY_SECONDS):
            async for chunk in request.stream():
                body += chunk
                if len(body) > MAX_BODY:
                    raise RequestError(f"the body is longer than {MAX_BODY:,} bytes")
    except TimeoutError as error:
        raise RequestError(f"the body did not come whole within {BODY_SECONDS:g} s") from error
    return bytes(body)


def _json(status: int, body: bytes) -> Response:
    headers = {"retry-after": "1"} if status == 503 else None
    return Response(body, status, headers=headers, media_type="application/json")


def _error(status: int, code: str, message: str) -> Response:
    return _json(status, msgspec.json.encode({"error": {"code": code, "message": message}}))
