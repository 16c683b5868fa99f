import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from serving import gateway_rest
from serving.lifecycle import Lifecycle
from watchnext.contracts.api import RecommendAnswer, RecommendRequest
from watchnext.ops.metrics import ANSWERS

PATH = "/v1/recommendations"


class Answering:
    """A gateway that answers with an empty list, fails, or hangs until it is cancelled."""

    def __init__(self, *, error: Exception | None = None, hangs: bool = False) -> None:
        self.error, self.hangs = error, hangs
        self.asked = asyncio.Event()
        self.told: dict[str, Any] = {}

    def authenticate(self, key: str) -> None:
        pass

    async def recommend(self, request: RecommendRequest, **told: Any) -> RecommendAnswer:
        self.told = told
        self.asked.set()
        if self.error is not None:
            raise self.error
        if self.hangs:
            await asyncio.Event().wait()
        return RecommendAnswer(request_id="r", user_id=request.user_id, served_at=1, items=[])


def client(gateway: Any) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(app=gateway_rest.build(gateway, Lifecycle()))
    return httpx.AsyncClient(transport=transport, base_url="http://gateway")


def counted(code: int) -> float:
    return ANSWERS.labels("rest", code)._value.get()


@pytest.mark.parametrize("text", ["9" * 5_000, "0", "-1", "600001", "1.5", "³"])
def test_a_timeout_that_is_no_number_of_ours_is_refused_and_no_failure(text: str):
    async def get() -> httpx.Response:
        async with client(Answering()) as one:
            return await one.get(PATH, params={"user_id": "u", "timeout_ms": text})

    response = asyncio.run(get())
    assert response.status_code == 400
    assert response.json()["error"] == {
        "code": "invalid_argument",
        "message": f"timeout_ms = {text[:20]!r} came; wanted whole milliseconds from 1 to 600000",
    }


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_the_trace_header_reaches_the_gateway(method: str):
    async def send() -> dict[str, Any]:
        gateway = Answering()
        given: dict[str, Any] = {"params": {"user_id": "u"}} if method == "GET" else {"json": {"user_id": "u"}}
        async with client(gateway) as one:
            await one.request(method, PATH, headers={"Traceparent": "00-ab"}, **given)
        return gateway.told

    assert asyncio.run(send()) == {"budget_ms": None, "traceparent": "00-ab"}


def test_a_failure_of_the_gateway_is_counted_as_the_500_that_the_caller_sees():
    async def get() -> httpx.Response:
        async with client(Answering(error=ZeroDivisionError("a secret"))) as one:
            return await one.get(PATH, params={"user_id": "u"})

    before = counted(500)
    response = asyncio.run(get())
    assert (response.status_code, response.json()["error"]["code"]) == (500, "internal")
    assert "secret" not in response.text
    assert counted(500) == before + 1


def test_a_cancelled_request_is_counted_and_not_as_an_answer():
    async def cancel() -> None:
        gateway = Answering(hangs=True)
        async with client(gateway) as one:
            request = asyncio.create_task(one.get(PATH, params={"user_id": "u"}))
            await asyncio.wait_for(gateway.asked.wait(), 30)
            request.cancel()
            with pytest.raises(asyncio.CancelledError):
                await request

    before = counted(200), counted(499)
    asyncio.run(cancel())
    assert (counted(200), counted(499)) == (before[0], before[1] + 1)


def test_a_body_that_does_not_come_is_refused_in_the_end(monkeypatch: pytest.MonkeyPatch):
    async def stalled() -> AsyncIterator[bytes]:
        yield b'{"user_id":'
        await asyncio.Event().wait()

    async def post() -> httpx.Response:
        async with client(Answering()) as one:
            return await asyncio.wait_for(one.post(PATH, content=stalled()), 30)

    monkeypatch.setattr(gateway_rest, "BODY_SECONDS", 0.05)
    response = asyncio.run(post())
    assert response.status_code == 400
    assert response.json()["error"]["message"] == "the body did not come whole within 0.05 s"
