import asyncio
import contextlib
from collections.abc import Sequence
from typing import Any

import pytest
from pydantic import SecretStr

from watchnext.clock import FixedClock
from watchnext.contracts.api import RecommendAnswer, RecommendedVideo, RecommendRequest
from watchnext.errors import AuthenticationError, GraphError, OverloadError, RequestError
from watchnext.recommend.gateway import Gateway as GatewayLogic
from watchnext.recommend.gateway import public
from watchnext.settings import Gateway, Serving, Settings

NOW = 1_000_000


class Steps:
    """A graph in one function: answers with one video, after a while, or not at all."""

    def __init__(self, *, delay_s: float = 0, error: Exception | None = None, **answer: Any) -> None:
        self.delay_s, self.error, self.answer = delay_s, error, answer
        self.asked: list[RecommendRequest] = []

    async def ask(self, request: RecommendRequest) -> RecommendAnswer:
        self.asked.append(request)
        await asyncio.sleep(self.delay_s)
        if self.error:
            raise self.error
        given = {
            "items": [RecommendedVideo(video_id="v", position=0, sources=["tower"], score=1.0, features="AAAA")]
        } | self.answer
        return RecommendAnswer(
            request_id=request.request_id, user_id=request.user_id, arm=request.arm, served_at=NOW, **given
        )


class Log:
    def __init__(self) -> None:
        self.offered: list[RecommendAnswer] = []

    def offer(self, request: RecommendRequest, answer: RecommendAnswer) -> None:
        self.offered.append(answer)


def gateway(
    graph: Any, served: Log | None = None, popular: Sequence[str] = ("p1", "p2"), **settings: Any
) -> GatewayLogic:
    given: dict[str, Any] = {"static_list": ["s1", "s2", "s1", "s3"]} | settings
    serving = given.pop("serving", Serving())
    made = Settings(gateway=Gateway(**given), serving=serving)
    return GatewayLogic(made, graph, served, popular=lambda: popular, clock=FixedClock(NOW))


def ask(one: GatewayLogic, budget_ms: float | None = None, **fields: Any) -> RecommendAnswer:
    return asyncio.run(one.recommend(RecommendRequest(user_id="u", **fields), budget_ms=budget_ms))


def test_the_graph_is_asked_with_an_id_an_arm_and_a_deadline():
    graph = Steps()
    found = ask(gateway(graph, experiment="towers", arms={"deep": 1}), arm="forged")
    asked = graph.asked[0]
    assert asked.request_id
    assert asked.request_id == found.request_id
    assert asked.arm == "deep"
    assert asked.deadline_ms == NOW + 1_000 - 25


def test_a_trace_header_travels_on_unless_the_request_has_one():
    header, own = f"00-{'a' * 32}-{'b' * 16}-01", f"00-{'c' * 32}-{'d' * 16}-00"
    graph = Steps()
    one = gateway(graph)
    for request, traceparent in [
        (RecommendRequest(user_id="u"), header),
        (RecommendRequest(user_id="u", traceparent=own), header),
        (RecommendRequest(user_id="u"), "no trace"),
        (RecommendRequest(user_id="u"), ""),
    ]:
        asyncio.run(one.recommend(request, traceparent=traceparent))
    assert [asked.traceparent for asked in graph.asked] == [header, own, "", ""]


def test_the_nearest_deadline_counts():
    graph = Steps()
    one = gateway(graph)
    ask(one, budget_ms=300)
    ask(one, budget_ms=300, deadline_ms=NOW + 200)
    ask(one, deadline_ms=NOW + 90_000)
    assert [asked.deadline_ms - NOW for asked in graph.asked] == [275, 175, 975]


@pytest.mark.parametrize("graph", [Steps(error=GraphError("refused")), Steps(delay_s=30)], ids=["down", "late"])
def test_a_graph_that_is_down_or_late_is_the_static_list(graph: Steps):
    found = ask(gateway(graph), budget_ms=60, k=2)
    assert [item.video_id for item in found.items] == ["s1", "s2"]
    assert found.degraded == ["graph"]
    assert [item.sources for item in found.items] == [["static"], ["static"]]
    assert found.items[0].expected_seconds is None


def test_without_a_static_list_the_popular_videos_stand_in():
    found = ask(gateway(Steps(error=GraphError("refused")), static_list=[]), k=2)
    assert [item.video_id for item in found.items] == ["p1", "p2"]
    assert [item.sources for item in found.items] == [["static"], ["static"]]


def test_no_generation_is_the_static_list_and_says_so():
    found = ask(gateway(Steps(items=[], degraded=["generation"])), k=3)
    assert [item.video_id for item in found.items] == ["s1", "s2", "s3"]
    assert found.degraded == ["generation"]


def test_before_the_first_generation_and_without_a_static_list_the_answer_is_empty_and_says_so():
    found = ask(gateway(Steps(items=[], degraded=["generation"]), popular=(), static_list=[]), k=3)
    assert (found.items, found.degraded) == ([], ["generation"])


def test_a_dead_graph_is_asked_until_the_breaker_opens():
    async def many(one: GatewayLogic) -> None:
        for _ in range(10):
            await one.recommend(RecommendRequest(user_id="u"))

    graph = Steps(error=GraphError("refused"))
    asyncio.run(many(gateway(graph, serving=Serving(breaker_failures=3, breaker_seconds=60))))
    assert len(graph.asked) == 3


def test_callers_with_tiny_deadlines_do_not_open_the_breaker_for_others():
    async def many(one: GatewayLogic) -> RecommendAnswer:
        for _ in range(10):
            await one.recommend(RecommendRequest(user_id="u"), budget_ms=40)
        graph.delay_s = 0
        return await one.recommend(RecommendRequest(user_id="u"))

    graph = Steps(delay_s=0.2)
    assert asyncio.run(many(gateway(graph, serving=Serving(breaker_failures=3)))).degraded == []


def test_a_graph_that_refuses_a_request_is_up():
    async def some(one: GatewayLogic) -> RecommendAnswer:
        for fate in (GraphError("down"), RequestError("bad surface"), GraphError("down"), None):
            graph.error = fate
            with contextlib.suppress(RequestError):
                answer = await one.recommend(RecommendRequest(user_id="u"))
        return answer

    graph = Steps()
    assert asyncio.run(some(gateway(graph, serving=Serving(breaker_failures=2)))).degraded == []


def test_a_request_that_the_graph_refuses_is_refused():
    with pytest.raises(RequestError, match="bad surface"):
        ask(gateway(Steps(error=RequestError("bad surface"))))


def test_more_than_the_most_in_flight_are_shed():
    async def crowd(one: GatewayLogic) -> list[Any]:
        asks = [one.recommend(RecommendRequest(user_id="u")) for _ in range(5)]
        first = await asyncio.gather(*asks, return_exceptions=True)
        return [*first, await one.recommend(RecommendRequest(user_id="u"))]

    found = asyncio.run(crowd(gateway(Steps(delay_s=0.05), max_concurrent=2)))
    assert [type(one) for one in found] == [RecommendAnswer] * 2 + [OverloadError] * 3 + [RecommendAnswer]


def test_every_answer_is_logged_with_features_that_the_public_does_not_see():
    log = Log()
    found = ask(gateway(Steps(), log))
    assert log.offered[0].items[0].features == "AAAA"
    assert public(found).items[0].features == ""
    ask(gateway(Steps(error=GraphError("down")), log))
    assert [answer.degraded for answer in log.offered] == [[], ["graph"]]


def test_api_keys():
    one = gateway(Steps(), api_keys=[SecretStr("old"), SecretStr("new")])
    one.authenticate("old")
    one.authenticate("new")
    with pytest.raises(AuthenticationError, match="no API key came"):
        one.authenticate("")
    with pytest.raises(AuthenticationError, match="an unknown API key came"):
        one.authenticate("older")
    gateway(Steps()).authenticate("")
