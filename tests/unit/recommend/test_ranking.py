import asyncio
import base64
from typing import Any

import numpy as np
import pytest
import structlog
from prometheus_client import REGISTRY

from watchnext.clock import FixedClock
from watchnext.contracts.api import RecommendAnswer, decode_answer, encode
from watchnext.contracts.envelope import Candidates, Envelope
from watchnext.contracts.names import Source
from watchnext.errors import EnvelopeError, RankerError
from watchnext.features.codec import pack, unpack
from watchnext.features.spec import RANKER_FEATURES
from watchnext.recommend.ranking import Guard, Predictor
from watchnext.settings import Serving

NOW = 1_000_000
IDS = ["a", "b", "c", "d"]
SECONDS = [5.0, 50.0, 5.0, 20.0]  # best first, ties by retrieval: b d a c


def state() -> str:

    return base64.b64encode(pack({}, {"seed": np.array([7], "<i4")})).decode()


def envelope(**fields: Any) -> Envelope:
    given = {
        "request_id": "r1",
        "user_id": "u1",
        "generation": "gen",
        "overlay": 2,
        "now_ms": NOW,
        "deadline_ms": NOW + 500,
        "k": 3,
        "state": state(),
        "candidates": Candidates.of(
            IDS,
            np.array([1, 2, 3, 4]),
            np.array([4, 3, 2, 1], "f4"),
            np.array([Source.TOWER, Source.TOWER | Source.FRESH, Source.FRESH, Source.TRENDING]),
        ),
    } | fields
    return Envelope(**given)


class Scorer:
    """Scores from a table, in the format of the wire; `spoil` changes the answer before it is packed."""

    def __init__(self, *, delay_s: float = 0, fails: bool = False, **spoil: Any) -> None:
        self.delay_s, self.fails, self.spoil = delay_s, fails, spoil
        self.asked: list[tuple[str, dict[str, Any], dict[str, Any]]] = []

    async def score(self, version: str, payload: bytes) -> bytes:
        meta, columns = unpack(payload)
        self.asked.append((version, meta, columns))
        await asyncio.sleep(self.delay_s)
        if self.fails:
            raise RankerError("TorchServe answered 503")
        top = np.array([1, 3, 0], "<i4")
        features = np.zeros((3, len(RANKER_FEATURES)), "<f4")
        features[:, 0] = [1.5, 2.5, 3.5]
        contributions = np.zeros_like(features)
        contributions[2, :2] = [-0.5, 0.25]
        answer = {
            "expected_seconds": np.array(SECONDS, "<f4"),
            "long_view": np.array([0.1, 0.9, 0.2, 0.3], "<f4"),
            "top": top,
            "features": features,
            "contributions": contributions,
        }
        meta = {"generation": meta["generation"], "overlay": meta["overlay"]}
        return pack(
            meta | {name: value for name, value in self.spoil.items() if name in meta},
            answer | {name: value for name, value in self.spoil.items() if name in answer},
        )


def answer(predictor: Predictor, asked: Envelope | None = None, **settings: Any) -> RecommendAnswer:
    guard = Guard(predictor, Serving(**settings), clock=FixedClock(NOW))
    return asyncio.run(guard.answer(asked or envelope()))


def fallbacks(cause: str) -> float:
    return REGISTRY.get_sample_value("watchnext_ranking_fallbacks_total", {"cause": cause}) or 0


def ids(found: RecommendAnswer) -> list[str]:
    return [item.video_id for item in found.items]


def test_ranked_by_expected_seconds():
    found = answer(Scorer())
    assert ids(found) == ["b", "d", "a"]
    assert [item.expected_seconds for item in found.items] == [50.0, 20.0, 5.0]
    assert [item.sources for item in found.items] == [["tower", "fresh"], ["trending"], ["tower"]]
    assert [item.score for item in found.items] == [3.0, 1.0, 4.0]
    assert (found.generation, found.overlay, found.degraded, found.served_at) == ("gen", 2, [], NOW)
    assert found.stages_ms.keys() == {"ranking"}


def test_the_ranker_is_asked_for_the_envelopes_version_with_the_users_columns_prefixed():
    scorer = Scorer()
    answer(scorer)
    version, meta, columns = scorer.asked[0]
    assert version == "gen.2"
    assert meta == {
        "request_id": "r1",
        "generation": "gen",
        "overlay": 2,
        "now_ms": NOW,
        "k": 3,
        "explain": False,
    }
    assert columns["user.seed"].tolist() == [7]
    assert columns["row"].tolist() == [1, 2, 3, 4]
    assert columns["score"].dtype == "<f4"
    assert columns["sources"].dtype == "<i4"


@pytest.mark.parametrize(
    ("predictor", "cause"),
    [
        (Scorer(fails=True), "failed"),
        (Scorer(delay_s=30), "late"),
        (Scorer(generation="other"), "generation"),
        (Scorer(overlay=1), "generation"),
        (Scorer(expected_seconds=np.array([1, 2, 3], "<f4")), "answer"),
        (Scorer(expected_seconds=np.array([1, np.nan, 3, 4], "<f4")), "answer"),
        (Scorer(top=np.array([1, 1, 0], "<i4")), "answer"),
        (Scorer(top=np.array([1, 4, 0], "<i4")), "answer"),
        (Scorer(top=np.array([1, 3, 0, 1], "<i4")), "answer"),
        (Scorer(top=np.array([1, 3, 0], "<f4")), "answer"),
        (Scorer(top=np.array([[1, 3, 0]], "<i4")), "answer"),
        (Scorer(features=np.zeros(3, "<f4")), "answer"),
        (Scorer(features=np.zeros((2, 3), "<f4")), "answer"),
    ],
    ids=[
        "fails",
        "late",
        "generation",
        "overlay",
        "short",
        "nan",
        "twice",
        "outside",
        "four",
        "float",
        "table",
        "row",
        "features",
    ],
)
def test_whatever_goes_wrong_is_retrieval_order_without_scores_and_counted_by_its_cause(predictor: Scorer, cause: str):
    before, calls = fallbacks(cause), REGISTRY.get_sample_value("watchnext_ranker_seconds_count")
    found = answer(predictor, ranker_budget_ms=50)
    assert ids(found) == ["a", "b", "c"]
    assert found.degraded == ["ranking"]
    assert [item.expected_seconds for item in found.items] == [None, None, None]
    assert fallbacks(cause) == before + 1
    assert REGISTRY.get_sample_value("watchnext_ranker_seconds_count") == calls + 1


@pytest.mark.parametrize("spoiled", ["long_view", "features", "contributions"])
def test_what_json_cannot_say_costs_the_ranking_and_not_the_answer(spoiled: str):
    shape = 4 if spoiled == "long_view" else (3, len(RANKER_FEATURES))
    scorer = Scorer(**{spoiled: np.full(shape, np.nan, "<f4")})
    found = answer(scorer, envelope(explain=True))
    assert decode_answer(encode(found)).degraded == ["ranking"]
    assert answer(scorer).degraded == []


@pytest.mark.parametrize("cause", ["deadline", "breaker"])
def test_a_ranker_that_is_not_asked_is_counted_too(cause: str):
    before, calls = fallbacks(cause), REGISTRY.get_sample_value("watchnext_ranker_seconds_count")
    guard = Guard(Scorer(fails=True), Serving(breaker_failures=1), clock=FixedClock(NOW))
    if cause == "breaker":
        asyncio.run(guard.answer(envelope()))
        calls += 1
    asyncio.run(guard.answer(envelope(deadline_ms=NOW if cause == "deadline" else NOW + 500)))
    assert fallbacks(cause) == before + 1
    assert REGISTRY.get_sample_value("watchnext_ranker_seconds_count") == calls


def test_bytes_that_are_no_message_are_the_rankers_failure():
    class Garbage:
        async def score(self, version: str, payload: bytes) -> bytes:
            return b"<html>"

    assert answer(Garbage()).degraded == ["ranking"]


def test_no_time_left_is_not_asked():
    scorer = Scorer()
    found = answer(scorer, envelope(deadline_ms=NOW + 5))
    assert (found.degraded, scorer.asked) == (["ranking"], [])


def test_a_dead_ranker_is_asked_until_the_breaker_opens():
    async def many(guard: Guard) -> None:
        for _ in range(10):
            await guard.answer(envelope())

    scorer = Scorer(fails=True)
    asyncio.run(many(Guard(scorer, Serving(breaker_failures=3, breaker_seconds=60), clock=FixedClock(NOW))))
    assert len(scorer.asked) == 3


def test_what_retrieval_lost_stays_in_the_answer():
    assert answer(Scorer(), envelope(degraded=["index"])).degraded == ["index"]
    assert answer(Scorer(fails=True), envelope(degraded=["index"])).degraded == ["index", "ranking"]


def test_a_list_that_is_not_to_be_ranked_keeps_its_order():
    scorer = Scorer()
    found = answer(scorer, envelope(rankable=False))
    assert (ids(found), found.degraded, scorer.asked) == (["a", "b", "c"], [], [])


def test_an_unreadable_state_is_no_fault_of_the_request():
    with pytest.raises(EnvelopeError, match="user state cannot be read"):
        answer(Scorer(), envelope(state="AAAA"))


def test_explanations():
    found = answer(Scorer(), envelope(explain=True, nearest_watched=["w", "x", "y", "z"]))
    third = found.items[2].explanation
    assert third is not None
    assert (third.nearest_watched, third.retrieval_position, third.retrieval_score) == ("w", 0, 4.0)
    assert third.long_view_probability == pytest.approx(0.1)
    assert list(third.contributions.items())[:2] == [(RANKER_FEATURES[0], -0.5), (RANKER_FEATURES[1], 0.25)]
    assert third.features[RANKER_FEATURES[0]] == 3.5
    assert third.demotions == [
        "2 places below its retrieval position",
        f"{RANKER_FEATURES[0]}: expected time x 0.61",  # e^-0.5
    ]


def test_why_not_tells_of_the_ranking():
    found = answer(Scorer(), envelope(why_not={"c": "", "b": "", "q": "seen"}))
    assert found.why_not == {
        "c": "below k: at position 3 of 4 candidates, and k is 3; 5.0 s expected, the last of the list has 5.0 s",
        "b": "it is in the list, at position 0",
        "q": "seen",
    }
    unranked = answer(Scorer(fails=True), envelope(why_not={"d": ""}))
    assert unranked.why_not == {"d": "below k: at position 3 of 4 candidates, and k is 3"}


def test_a_rung_is_logged_with_the_request_and_its_trace():
    with structlog.testing.capture_logs() as logged:
        answer(Scorer(fails=True), envelope(traceparent="00-ab"))
    assert [(entry["event"], entry["request_id"], entry["traceparent"]) for entry in logged] == [
        ("ranker_failed", "r1", "00-ab")
    ]
