import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest

from serving import gateway_grpc
from tests.unit.serving.test_gateway_rest import Answering
from watchnext.contracts.api import RecommendRequest
from watchnext.errors import ServerError
from watchnext.ops.metrics import ANSWERS
from watchnext.recommend.client import ask_grpc
from watchnext.settings import Gateway, Settings
from watchnext.v1 import recommend_pb2 as pb
from watchnext.v1 import recommend_pb2_grpc

REQUEST = pb.RecommendRequest(user_id="u")


def counted(code: str) -> float:
    return ANSWERS.labels("grpc", code)._value.get()


async def counted_as(code: str, more_than: float) -> None:
    """Wait for the server's side of a call that its caller has left."""
    while counted(code) == more_than:
        await asyncio.sleep(0.01)


def run(gateway: Any, folder: Path, call: Callable[[Any], Awaitable[None]]) -> None:
    """`call` with a stub of a server of `gateway` on a socket in `folder`."""

    async def served() -> None:
        address = f"unix:{folder / 's'}"
        server, _ = gateway_grpc.build(gateway, address)
        await server.start()
        try:
            async with grpc.aio.insecure_channel(address) as channel:
                await asyncio.wait_for(call(recommend_pb2_grpc.RecommenderStub(channel)), 60)
        finally:
            await server.stop(None)

    asyncio.run(served())


def test_the_trace_metadata_reaches_the_gateway(tmp_path: Path):
    gateway = Answering()

    async def call(stub: Any) -> None:
        await stub.Recommend(REQUEST, metadata=(("traceparent", "00-ab"),))

    run(gateway, tmp_path, call)
    assert gateway.told == {"budget_ms": None, "traceparent": "00-ab"}


def test_a_port_that_another_grpc_server_has_is_told_with_its_setting():
    async def both() -> None:
        server = grpc.aio.server()
        port = server.add_insecure_port("127.0.0.1:0")
        with pytest.raises(ServerError, match=rf"127\.0\.0\.1:{port} for gRPC; gateway\.grpc_port names another port"):
            gateway_grpc.build(Answering(), f"127.0.0.1:{port}")
        await server.stop(None)

    asyncio.run(both())


def test_a_message_has_the_limit_of_a_body(tmp_path: Path):
    gateway = Answering()

    async def call(stub: Any) -> None:
        with pytest.raises(grpc.aio.AioRpcError, match="longer than 262,144 bytes") as caught:
            await stub.Recommend(pb.RecommendRequest(user_id="u", why_not=["v" * 256] * 1_100))
        assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT

    run(gateway, tmp_path, call)
    assert not gateway.told


def test_a_failure_of_the_gateway_is_counted_as_the_code_that_the_caller_sees(tmp_path: Path):
    async def call(stub: Any) -> None:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await stub.Recommend(REQUEST)
        assert caught.value.code() is grpc.StatusCode.INTERNAL
        assert "secret" not in caught.value.details()

    before = counted("OK"), counted("INTERNAL")
    run(Answering(error=ZeroDivisionError("a secret")), tmp_path, call)
    assert (counted("OK"), counted("INTERNAL")) == (before[0], before[1] + 1)


def test_a_cancelled_call_is_counted_as_cancelled(tmp_path: Path):
    gateway = Answering(hangs=True)
    before = counted("OK"), counted("CANCELLED")

    async def call(stub: Any) -> None:
        waiting = stub.Recommend(REQUEST)
        await gateway.asked.wait()
        waiting.cancel()
        await counted_as("CANCELLED", before[1])

    run(gateway, tmp_path, call)
    assert (counted("OK"), counted("CANCELLED")) == (before[0], before[1] + 1)


def test_a_call_past_its_deadline_is_counted_as_that(tmp_path: Path):
    before = counted("OK"), counted("DEADLINE_EXCEEDED")

    async def call(stub: Any) -> None:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await stub.Recommend(REQUEST, timeout=0.3)
        assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
        await counted_as("DEADLINE_EXCEEDED", before[1])

    run(Answering(hangs=True), tmp_path, call)
    assert (counted("OK"), counted("DEADLINE_EXCEEDED")) == (before[0], before[1] + 1)


def test_our_own_client_asks_the_gateway_and_no_proxy(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")  # nobody listens there

    async def both() -> Any:
        server = grpc.aio.server()
        settings = Settings(gateway=Gateway(grpc_port=server.add_insecure_port("127.0.0.1:0")))
        servicer = gateway_grpc.Recommender(Answering())
        recommend_pb2_grpc.add_RecommenderServicer_to_server(servicer, server)
        await server.start()
        try:
            return await asyncio.to_thread(ask_grpc, settings, RecommendRequest(user_id="u"))
        finally:
            await server.stop(None)

    assert asyncio.run(both()).request_id == "r"
