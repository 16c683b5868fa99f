from contextlib import closing
from types import SimpleNamespace
from typing import Any

import pytest

from benchmarks.end_to_end import REQUESTS, Load, Parts, stages_of, verdict_of
from benchmarks.rounds import CONTROL, Measured
from tests.unit.recommend.test_ranking import envelope
from watchnext.contracts.api import RecommendAnswer
from watchnext.settings import Serving

ALONE = [10.0] * 98 + [30.0] * 2  # milliseconds of single requests through the parts


def measured(*parts: float, again: float = 1.0) -> Measured:
    """Rounds whose parts took so many milliseconds, and `again` times that in the control."""
    router = [0.0] * len(parts)
    return Measured({"parts": [*parts], "router": router, CONTROL: [again * one for one in parts]}, "parts")


def test_each_latency_is_divided_by_the_parts_of_its_own_round() -> None:
    # a machine half as fast in the second round: both rounds are twice their parts
    loads = [Load(latencies=[20.0] * 100), Load(latencies=[40.0] * 300)]

    verdict = verdict_of(measured(10.0, 20.0), loads, ALONE)

    assert verdict.value == pytest.approx(2.0)
    assert verdict.outcome == "met"
    assert (verdict.raw["answers"], verdict.raw["p50 ms"], verdict.raw["parts ms"]) == (400, 40.0, 15.0)
    assert verdict.raw["parts p99 ms"] == 30.0  # of requests that met no other: the machine's share of a tail


def test_the_p99_is_of_all_rounds() -> None:
    loads = [Load(latencies=[10.0] * 97 + [90.0] * 3), Load(latencies=[10.0] * 100)]

    verdict = verdict_of(measured(10.0, 10.0), loads, ALONE)

    assert verdict.value == pytest.approx(9.0)  # 3 of 200 lie above the p99
    assert verdict.outcome == "missed"


@pytest.mark.parametrize(("degraded", "outcome"), [(4, "met"), (5, "missed")])
def test_more_than_one_degraded_answer_in_a_hundred_misses_the_bar(degraded: int, outcome: str) -> None:
    loads = [Load(latencies=[10.0] * 200, degraded=degraded - 1), Load(latencies=[10.0] * 200, degraded=1)]

    verdict = verdict_of(measured(10.0, 10.0), loads, ALONE)

    assert verdict.outcome == outcome
    assert verdict.spoilt == ("5 of 400 answers were degraded" if outcome == "missed" else "")


def test_parts_that_drift_within_a_round_void_it() -> None:
    loads = [Load(latencies=[10.0] * 200)] * 2

    assert verdict_of(measured(10.0, 10.0, again=1.3), loads, ALONE).outcome == "void"


def test_stages_are_pooled_over_rounds() -> None:
    answers = [
        RecommendAnswer(request_id="", user_id="u", served_at=0, items=[], stages_ms={"index": n}) for n in (1, 3)
    ]
    loads = [Load(), Load()]
    for load, answer in zip(loads, answers, strict=True):
        load.add(answer, 5.0)

    assert stages_of(loads) == {"index": [2.0, 2.98]}


def test_each_part_of_a_request_is_measured() -> None:
    """The envelope's part called a reader that was gone: the bench ended in an AttributeError."""
    bench: Any = SimpleNamespace(
        settings=SimpleNamespace(serving=Serving()),
        scorer=SimpleNamespace(answer=lambda payload: b"no scores"),
        retriever=SimpleNamespace(retrieve=lambda request: envelope()),
        envelope=envelope(),
        users=["u1"],
    )
    with closing(Parts(bench)) as parts:
        assert parts.measure() > 0
        assert set(parts.medians) == {"retrieval", "envelope", "ranking", "answer"}
        assert len(parts.requests) == REQUESTS
