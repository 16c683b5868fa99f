import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from fastapi import HTTPException

from serving import retrieval
from serving.retrieval import RetrievalModel
from watchnext.settings import Serving, Settings


class Ticker:
    now = 100.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def ticker(monkeypatch) -> Ticker:
    one = Ticker()
    monkeypatch.setattr(retrieval, "time", one)
    return one


@pytest.fixture
def model(tmp_path) -> RetrievalModel:
    """One without backends and with one thread; nothing is published."""
    follower: Any = SimpleNamespace(current=lambda: None)
    store: Any = None
    one = RetrievalModel(Settings(home=tmp_path, serving=Serving(deadline_ms=1_000)), store, follower)
    one._threads = ThreadPoolExecutor(1)
    return one


def queued(model: RetrievalModel, ticker: Ticker, *, seconds: float, deadline_ms: int) -> dict[str, Any]:
    """The envelope of a request that waits so long for the thread; its deadline is of another pod's clock."""
    release = threading.Event()
    model._threads.submit(release.wait)

    async def post() -> bytes:
        asked = asyncio.create_task(model.predict({"user_id": "u", "deadline_ms": deadline_ms}))
        await asyncio.sleep(0)  # it is in the queue
        ticker.now += seconds
        release.set()
        return await asked

    return msgspec.json.decode(asyncio.run(post()))


def test_a_request_that_queued_past_any_deadline_is_not_worked_on(model, ticker):
    """The gateway had given it up; its work made the requests behind it late too."""
    asked: list[object] = []
    model._retriever.retrieve = asked.append

    with pytest.raises(HTTPException, match=r"waited 1.2 s") as raised:
        queued(model, ticker, seconds=1.2, deadline_ms=1)

    assert (raised.value.status_code, asked) == (503, [])


@pytest.mark.parametrize(("seconds", "deadline_ms"), [(0.9, 1), (1.2, 0)])
def test_a_slow_clock_or_a_caller_without_a_deadline_drops_nothing(model, ticker, seconds, deadline_ms):
    assert queued(model, ticker, seconds=seconds, deadline_ms=deadline_ms)["degraded"] == ["generation"]
