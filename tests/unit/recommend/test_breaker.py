import threading
import time

import pytest
from prometheus_client import REGISTRY

from watchnext.errors import UnavailableError
from watchnext.recommend.breaker import Bounded, Breaker


class Ticker:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_opens_after_failures_in_a_row_and_not_before():
    breaker = Breaker("valkey", failures=3, seconds=2, monotonic=Ticker())
    breaker.failed()
    breaker.failed()
    breaker.succeeded()
    breaker.failed()
    breaker.failed()
    assert breaker.allows()
    breaker.failed()
    assert not breaker.allows()


def test_lets_one_call_try_after_the_period():
    ticker = Ticker()
    breaker = Breaker("valkey", failures=1, seconds=2, monotonic=ticker)
    breaker.failed()
    ticker.now += 2
    assert [breaker.allows(), breaker.allows()] == [True, False]
    breaker.succeeded()
    assert [breaker.allows(), breaker.allows()] == [True, True]


def test_a_failed_try_opens_it_again():
    ticker = Ticker()
    breaker = Breaker("valkey", failures=1, seconds=2, monotonic=ticker)
    breaker.failed()
    ticker.now += 2
    assert breaker.allows()
    breaker.failed()
    ticker.now += 1.9
    assert not breaker.allows()


def test_a_hung_backend_costs_its_budget_and_then_nothing():
    release = threading.Event()
    bounded = Bounded(release.wait, threads=2, breaker=Breaker("valkey", failures=2, seconds=60))
    for _ in range(2):
        with pytest.raises(UnavailableError, match="valkey: no answer within 20 ms"):
            bounded.start().result(20)
    started = time.monotonic()
    for _ in range(50):
        with pytest.raises(UnavailableError, match="failed a moment ago"):
            bounded.start().result(1_000)
    assert time.monotonic() - started < 1
    release.set()
    bounded.close()


def test_a_backend_that_comes_back_is_used_again():
    release = threading.Event()
    ticker = Ticker()
    bounded = Bounded(release.wait, threads=1, breaker=Breaker("valkey", failures=1, seconds=2, monotonic=ticker))
    with pytest.raises(UnavailableError):
        bounded.start().result(10)
    release.set()
    ticker.now += 2
    assert bounded.start().result(5_000) is True
    assert bounded.start().result(5_000) is True
    bounded.close()


def test_a_failure_is_told_with_its_reason():
    def refuse() -> None:
        raise ConnectionRefusedError("port 16379")

    bounded = Bounded(refuse, threads=1, breaker=Breaker("valkey", failures=5, seconds=1))
    with pytest.raises(UnavailableError, match="valkey: ConnectionRefusedError: port 16379"):
        bounded.start().result(1_000)
    bounded.close()


def test_an_open_breaker_is_seen_in_the_metrics():
    def shown() -> float | None:
        return REGISTRY.get_sample_value("watchnext_breaker_open", {"backend": "a store"})

    breaker = Breaker("a store", failures=2, seconds=60)
    assert shown() == 0
    breaker.failed()
    assert shown() == 0
    breaker.failed()
    assert shown() == 1
    breaker.succeeded()
    assert shown() == 0
