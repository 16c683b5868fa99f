"""What operators see of real processes: readiness, metrics and traces, from before the first generation on."""

import os
import re
import signal
import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.services.conftest import free_ports, private_settings, wait_for
from tests.services.otlp import Collector, Received, collector
from tests.unit.generation.world import parts
from watchnext.clock import DAY_MS, SystemClock
from watchnext.contracts.api import RecommendAnswer, RecommendRequest
from watchnext.contracts.events import SearchEvent
from watchnext.contracts.names import Topic
from watchnext.generation.build import build_generation
from watchnext.generation.manifest import Target
from watchnext.generation.publish import publish
from watchnext.generation.store import GenerationStore
from watchnext.local import supervisor
from watchnext.recommend.client import ask_graph, ask_rest, rest_url
from watchnext.settings import Settings
from watchnext.stream.lag import wait_until_caught_up
from watchnext.stream.producer import EventProducer

NOW_MS = SystemClock().now_ms()
BUDGET_MS = 10_000  # nothing is late here, however slow the machine


@pytest.fixture(scope="module")
def traces() -> Iterator[Collector]:
    [port] = free_ports(1)
    with collector(port) as running:
        yield running


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory, traces: Collector) -> Iterator[Settings]:
    """A running stack with one worker, where nothing is published yet."""
    made = private_settings(
        tmp_path_factory.mktemp("observed"),
        local={"workers": 1},
        ops={"otlp_endpoint": traces.url},
        serving={
            "deadline_ms": 4 * BUDGET_MS,
            "features_budget_ms": BUDGET_MS,
            "index_budget_ms": BUDGET_MS,
            "ranker_budget_ms": BUDGET_MS,
        },
    )
    with supervisor.running(made):
        yield made


@pytest.fixture(scope="module")
def unpublished(settings: Settings) -> httpx.Response:
    """What the follower says of its readiness before the first generation, after its first look for one."""
    url = readiness(settings.ops.follower_port)
    wait_for(lambda: httpx.get(url).json() != {"status": "starting"})
    return httpx.get(url)


@pytest.fixture(scope="module")
def live(settings: Settings, unpublished: httpx.Response) -> Target:
    """What was published after that."""
    store = GenerationStore.open(settings)
    target = build_generation(store, parts()).target
    publish(store, target.generation, target.overlay, settings)
    return target


@pytest.fixture(scope="module")
def events(settings: Settings) -> None:
    """Of six messages two are folded, one is repeated, one is late, and two are no events."""
    search = {
        "first": SearchEvent(event_id="first", user_id="ann", query="cats", searched_at=NOW_MS - 1_000),
        "second": SearchEvent(event_id="second", user_id="ann", query="dogs", searched_at=NOW_MS),
        "late": SearchEvent(event_id="late", user_id="ann", query="mice", searched_at=NOW_MS - 8 * DAY_MS),
        "future": SearchEvent(event_id="future", user_id="ann", query="fish", searched_at=NOW_MS + DAY_MS),
    }
    with EventProducer(settings) as producer:
        for name in ("first", "second", "first", "late", "future"):
            producer.send(Topic.SEARCH, search[name])
        producer.send_raw(Topic.SEARCH, b"ann", b"{")
    wait_until_caught_up(settings)


@pytest.fixture(scope="module")
def answer(settings: Settings, live: Target, events: None) -> RecommendAnswer:
    """A whole answer."""
    request = RecommendRequest(user_id="ann", k=10)
    wait_for(lambda: ask_rest(settings, request).degraded == [])  # TorchServe's first answers warm it up
    return ask_rest(settings, request)


def readiness(port: int) -> str:
    return f"http://127.0.0.1:{port}/readyz"


def shown(url: str) -> Callable[..., float]:
    """The metrics of a process as they are now: the sum of the samples of a name that have these labels."""
    text = httpx.get(f"{url}/metrics", timeout=10).raise_for_status().text
    samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]

    def total(name: str, **labels: str) -> float:
        found = [one.value for one in samples if one.name == name and labels.items() <= one.labels.items()]
        assert found, f"{url} shows no {name} with {labels}"
        return sum(found)

    return total


def on(settings: Settings, port: int) -> str:
    return f"http://{settings.serving.host}:{port}"


def test_the_follower_is_not_ready_before_anything_is_published_and_says_so(unpublished: httpx.Response):
    assert unpublished.status_code == 503
    assert unpublished.json() == {"status": "nothing is published: train with `watchnext pipeline run`"}


def test_the_follower_is_ready_while_torchserve_serves_what_is_live(settings: Settings, live: Target):
    url = readiness(settings.ops.follower_port)

    def told() -> tuple[int, Any]:
        response = httpx.get(url)
        return response.status_code, response.json()["status"]

    wait_for(lambda: told() == (200, f"ready: {live}"))
    [torchserve] = [server for server in supervisor.status(settings) if server.name == "torchserve"]
    assert torchserve.pid is not None
    os.killpg(torchserve.pid, signal.SIGKILL)
    wait_for(lambda: told()[0] == 503)
    assert "TorchServe's management port does not answer" in told()[1]
    assert httpx.get(url.replace("readyz", "healthz")).status_code == 200  # restarting the follower mends nothing
    supervisor.up(settings)
    wait_for(lambda: told() == (200, f"ready: {live}"))


def test_the_gateway_shows_its_answers(settings: Settings, answer: RecommendAnswer):
    total = shown(rest_url(settings))
    assert total("watchnext_answers_total", protocol="rest", code="200") >= 1
    assert total("watchnext_answer_seconds_count", protocol="rest") >= 1
    assert total("watchnext_breaker_open", backend="graph") == 0


def test_kserves_retrieval_server_shows_ours(settings: Settings, answer: RecommendAnswer, live: Target):
    total = shown(on(settings, settings.serving.retrieval_port))
    asked = total("watchnext_retrieval_stage_seconds_count", stage="features")
    assert asked >= 1
    for stage in ("tower", "sources", "index"):
        assert total("watchnext_retrieval_stage_seconds_count", stage=stage) == asked
    assert total("watchnext_retrieval_candidates_sum") >= len(answer.items)
    for backend in ("feature store", "Milvus", "similar videos"):
        assert total("watchnext_breaker_open", backend=backend) == 0
    assert total("watchnext_generation_info", generation=live.generation, overlay="0") == 1
    assert total("watchnext_generation_load_seconds_count") == 1
    assert total("watchnext_generation_refusals_total") == 0
    assert abs(time.time() - total("watchnext_generation_pointer_read_timestamp_seconds")) < 60


def test_kserves_ranking_server_shows_ours(settings: Settings, answer: RecommendAnswer):
    total = shown(on(settings, settings.serving.ranking_port))
    assert total("watchnext_ranker_seconds_count") >= 1
    assert total("watchnext_breaker_open", backend="ranker") in (0, 1)


def test_torchserve_shows_what_our_dashboard_asks_of_it(settings: Settings, answer: RecommendAnswer):
    text = httpx.get(f"{on(settings, settings.torchserve.metrics_port)}/metrics").text
    for name in ("ts_inference_requests_total", "ts_inference_latency_microseconds", "ts_queue_latency_microseconds"):
        assert re.search(rf'^{name}{{[^}}]*model_name="ranker"[^}}]*}} [1-9]', text, re.MULTILINE), name


def test_the_follower_shows_what_torchserve_was_given(settings: Settings, live: Target):
    total = shown(on(settings, settings.ops.follower_port))
    assert total("watchnext_generation_info", generation=live.generation, overlay="0") == 1
    assert total("watchnext_generation_load_seconds_count") == 1


def test_the_worker_shows_what_became_of_each_message(settings: Settings, events: None):
    port = settings.ops.port_of_worker("worker-1")
    assert httpx.get(readiness(port)).json() == {"status": "ready: 28 partitions"}  # four of each of seven topics
    total = shown(on(settings, port))
    topic = Topic.SEARCH.value
    assert total("watchnext_stream_events_total", topic=topic, outcome="folded") == 2
    assert total("watchnext_stream_events_total", topic=topic, outcome="repeated") == 1
    assert total("watchnext_stream_events_total", topic=topic, outcome="late") == 1
    assert total("watchnext_stream_dead_letters_total", topic=topic, reason="future") == 1
    assert total("watchnext_stream_dead_letters_total", topic=topic, reason="unreadable") == 1
    assert total("watchnext_stream_rows_written_total", view="user_searches") in (
        1,
        2,
    )  # of one user, in one batch or two
    assert total("watchnext_stream_batch_seconds_count") >= 1
    assert total("watchnext_stream_partitions") == 28
    assert abs(time.time() - total("watchnext_stream_commit_timestamp_seconds")) < 600


def test_the_worker_shows_how_far_it_is_behind(settings: Settings, events: None):
    url = on(settings, settings.ops.port_of_worker("worker-1"))
    [valkey] = [server for server in supervisor.status(settings) if server.name == "valkey"]
    assert valkey.pid is not None
    assert shown(url)("watchnext_stream_lag_messages", topic=Topic.SEARCH.value) == 0
    os.kill(valkey.pid, signal.SIGSTOP)
    try:
        with EventProducer(settings) as producer:
            for number in range(3):
                event = SearchEvent(event_id=f"behind{number}", user_id="bea", query="birds", searched_at=NOW_MS)
                producer.send(Topic.SEARCH, event)
        wait_for(lambda: shown(url)("watchnext_stream_lag_messages", topic=Topic.SEARCH.value) > 0)
    finally:
        os.kill(valkey.pid, signal.SIGCONT)
    wait_for(lambda: shown(url)("watchnext_stream_lag_messages", topic=Topic.SEARCH.value) == 0)


def trace_of(traces: Collector, request_id: str, wanted: set[str]) -> dict[str, Received]:
    """The spans of a request, once all are there: each process sends its own every few seconds."""
    wait_for(lambda: traces.of_request(request_id).keys() >= wanted)
    return traces.of_request(request_id)


STAGES = {"features", "tower", "sources", "index"}
WITHIN = {"retrieval", *STAGES, "ranking", "ranker.call"}


def test_a_request_is_one_trace_over_three_processes(settings: Settings, traces: Collector, answer: RecommendAnswer):
    spans = trace_of(traces, answer.request_id, {"gateway.recommend", "graph.call"} | WITHIN)
    assert {name: span.process.removeprefix("watchnext-") for name, span in spans.items()} == {
        "gateway.recommend": "gateway",
        "graph.call": "gateway",
        "retrieval": "retrieval",
        "features": "retrieval",
        "tower": "retrieval",
        "sources": "retrieval",
        "index": "retrieval",
        "ranking": "ranking",
        "ranker.call": "ranking",
    }
    names = {span.id: name for name, span in spans.items()}
    assert {name: names.get(span.parent) for name, span in spans.items()} == {
        "gateway.recommend": None,
        "graph.call": "gateway.recommend",
        "retrieval": "graph.call",
        "features": "retrieval",
        "tower": "retrieval",
        "sources": "retrieval",
        "index": "retrieval",
        "ranking": "graph.call",
        "ranker.call": "ranking",
    }
    for name, span in spans.items():  # one machine, one clock
        parent = spans.get(names.get(span.parent, ""), span)
        assert parent.begin <= span.begin <= span.end <= parent.end, name
    assert spans["index"].begin <= spans["sources"].begin + 1_000_000  # Milvus searches while the sources are walked
    assert spans["ranking"].attributes["watchnext.generation"] == f"{answer.generation}.{answer.overlay}"
    assert spans["ranking"].attributes["watchnext.degraded"] == []


def test_a_callers_trace_goes_on_in_ours(settings: Settings, traces: Collector, answer: RecommendAnswer):
    trace, caller = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
    response = httpx.get(
        f"{rest_url(settings)}/v1/recommendations",
        params={"user_id": "ann", "request_id": "from-a-caller"},
        headers={"traceparent": f"00-{trace}-{caller}-01"},
        timeout=60,
    )
    assert response.status_code == 200
    spans = trace_of(traces, "from-a-caller", {"gateway.recommend"} | WITHIN)
    assert {span.trace for span in spans.values()} == {trace}
    assert spans["gateway.recommend"].parent == caller


def test_the_bare_graph_makes_one_trace_too(settings: Settings, traces: Collector, answer: RecommendAnswer):
    ask_graph(settings, RecommendRequest(user_id="ann", k=10, request_id="bare"))
    spans = trace_of(traces, "bare", WITHIN)
    assert spans["retrieval"].parent == ""
    assert spans["ranking"].parent == spans["retrieval"].id


def test_a_trace_that_its_caller_does_not_keep_is_not_kept_by_us(
    settings: Settings, traces: Collector, answer: RecommendAnswer
):
    unkept = RecommendRequest(
        user_id="ann", request_id="unkept", traceparent="00-1af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00"
    )
    ask_rest(settings, unkept)
    ask_rest(settings, RecommendRequest(user_id="ann", request_id="kept"))
    trace_of(traces, "kept", {"gateway.recommend"} | WITHIN)  # sent later, and there already
    assert traces.of_request("unkept") == {}
