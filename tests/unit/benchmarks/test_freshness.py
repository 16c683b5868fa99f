import threading
from types import SimpleNamespace
from typing import Any

import pytest

from benchmarks import freshness
from benchmarks.freshness import Freshness, freshness_verdict
from watchnext.contracts.api import RecommendAnswer, RecommendedVideo
from watchnext.errors import WatchnextError
from watchnext.settings import load_settings


class Sink:
    """A producer that takes everything."""

    def send(self, *_: Any) -> None:
        """Into the void."""

    send_raw = send

    def flush(self) -> None:
        """Nothing waits."""


class Unmoved(Freshness):
    """A stack whose answers no event changes."""

    def answer(self, user: str) -> RecommendAnswer:
        items = [RecommendedVideo(video_id="v1", position=0, sources=["tower"], score=1.0)]
        return RecommendAnswer(request_id="", user_id=user, served_at=0, items=items)


def test_an_event_that_changes_nothing_ends_the_bench(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(freshness, "PROBE_S", 0.05)
    monkeypatch.setattr(freshness, "POLL_S", 0.001)

    with pytest.raises(WatchnextError, match="a watch of v1 by user u1 changed no answer within 0 s"):
        Unmoved(load_settings(), Sink(), ["u1", "u2"]).measure()


def test_the_rate_is_that_of_the_time_until_all_is_acknowledged(monkeypatch: pytest.MonkeyPatch) -> None:
    stop = threading.Event()
    ticks = iter([0.0, 2.0, 4.0])  # the start; the first look, when 2,000 events are due; after the flush
    clock = SimpleNamespace(perf_counter=lambda: next(ticks), sleep=lambda _: stop.set())
    monkeypatch.setattr(freshness, "time", clock)

    assert Freshness(load_settings(), Sink(), []).load(stop) == 500.0


@pytest.mark.parametrize(("rate", "outcome"), [(949.0, "missed"), (950.0, "met")])
def test_under_less_load_than_promised_the_bar_is_missed(rate: float, outcome: str) -> None:
    verdict = freshness_verdict([([1.0, 2.0], 0), ([3.0], 2)], rate)

    assert verdict.outcome == outcome
    assert (verdict.raw["probes"], verdict.raw["p50 s"], verdict.raw["degraded answers"]) == (3, 2.0, 2)
    assert verdict.spoilt == ("only 949 events/s were sent beside it" if outcome == "missed" else "")
