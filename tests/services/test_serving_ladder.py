"""Requests through the real router, retrieval, guard and TorchServe; then part after part is hung or killed.

The generation has untrained models: what is tested is the path, not the taste. One row of `docs/ladder.md`, one test.
"""

import json
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
import httpx
import psutil
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

from tests.services.conftest import private_settings
from tests.services.counters import counted, settled
from tests.unit.generation.world import NOW_MS, parts
from watchnext.contracts.api import RecommendAnswer, RecommendRequest
from watchnext.contracts.names import Topic
from watchnext.contracts.rows import UserProfile, UserWatches
from watchnext.errors import RequestError
from watchnext.generation.build import build_generation
from watchnext.generation.publish import publish
from watchnext.generation.store import GenerationStore
from watchnext.local import supervisor
from watchnext.recommend.client import ask_graph, ask_grpc, ask_rest, rest_url
from watchnext.settings import Settings
from watchnext.store.rows import FeatureStoreRows
from watchnext.v1 import recommend_pb2 as pb
from watchnext.v1 import recommend_pb2_grpc

K = 10
DEADLINE_MS = 3_000
CLIENT_MS = 400  # of the test's own client, which makes a new connection and TLS context for each request
STATIC = [f"static{number:02d}" for number in range(20)]
SEEN = ["v003", "v005", "v008"]
ONLY = ("kafka", "valkey", "milvus", "router", "torchserve", "retrieval", "follower", "ranking", "gateway")


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """A running stack without workers, and before its first generation: that rung is asked for first."""
    made = private_settings(
        tmp_path_factory.mktemp("serving"),
        gateway={"static_list": STATIC},
        serving={
            "deadline_ms": DEADLINE_MS,
            "features_budget_ms": 400,
            "index_budget_ms": 600,
            "ranker_budget_ms": 1_000,
            "breaker_failures": 2,
            "breaker_seconds": 0.5,
        },
    )
    with supervisor.running(made, ONLY):
        yield made


@pytest.fixture(scope="module")
def before_the_first_generation(settings: Settings) -> RecommendAnswer:
    return ask(settings, "ann")


@pytest.fixture(scope="module")
def live(settings: Settings, before_the_first_generation: RecommendAnswer) -> Settings:
    """The same stack with a user and a published generation."""
    from watchnext.stream.topics import ensure_topics

    ensure_topics(settings)
    rows = FeatureStoreRows.open(settings)
    at = (NOW_MS - 1_000) * 1_000
    rows.write(
        [
            UserWatches(
                entity_id="ann",
                event_timestamp=at,
                offset=1,
                partition=0,
                watch_video_ids=SEEN,
                watch_seconds=[30.0] * 3,
                watch_fractions=[0.5] * 3,
                watch_times=[NOW_MS - 5_000, NOW_MS - 4_000, NOW_MS - 3_000],
                watch_event_ids=["e1", "e2", "e3"],
                channel_ids=["channel3"],
                channel_watches=[3],
                channel_last=[NOW_MS - 3_000],
                seen_ids=SEEN,
                watches=3,
            ),
            UserProfile(entity_id="ann", event_timestamp=at, offset=1, partition=0, country="fr", logged_in=True),
        ]
    )
    store = GenerationStore.open(settings)
    manifest = build_generation(store, parts())
    publish(store, manifest.generation, 0, settings)
    deadline = time.monotonic() + 60
    while ask(settings, "ann").degraded and time.monotonic() < deadline:  # TorchServe's first answers warm it up
        time.sleep(0.2)
    return settings


def ask(settings: Settings, user: str, way: Any = ask_rest, **fields: Any) -> RecommendAnswer:
    """An answer at a fixed time, which came within the deadline."""
    request = RecommendRequest(user_id=user, **{"k": K, "now_ms": NOW_MS, "request_id": "r1"} | fields)
    started = time.monotonic()
    answer = way(settings, request)
    assert time.monotonic() - started < (DEADLINE_MS + CLIENT_MS) / 1000
    return answer


def ids(answer: RecommendAnswer) -> list[str]:
    return [item.video_id for item in answer.items]


def pid_of(settings: Settings, name: str) -> int:
    (pid,) = [one.pid for one in supervisor.status(settings) if one.name == name]
    assert pid is not None
    return pid


@contextmanager
def hung(settings: Settings, name: str) -> Iterator[None]:
    """SIGSTOP: it accepts connections and never answers."""
    pid = pid_of(settings, name)
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)
        recover(settings)


@contextmanager
def killed(settings: Settings, name: str) -> Iterator[None]:
    os.kill(pid_of(settings, name), signal.SIGKILL)
    try:
        yield
    finally:
        supervisor.up(settings, ONLY)
        recover(settings)


def recover(settings: Settings) -> None:
    """Whole answers again: a part that comes back is used without a restart of the others."""
    deadline = time.monotonic() + 90
    while (degraded := ask(settings, "ann").degraded) and time.monotonic() < deadline:
        time.sleep(0.2)
    assert degraded == []


def test_before_the_first_generation_the_static_list(before_the_first_generation: RecommendAnswer):
    assert before_the_first_generation.degraded == ["generation"]
    assert ids(before_the_first_generation) == STATIC[:K]


def test_a_known_user_gets_a_ranked_list_through_the_router(live: Settings):
    answer = ask(live, "ann")
    assert answer.degraded == []
    assert len(ids(answer)) == K
    assert set(ids(answer)).isdisjoint([*SEEN, "v010", "v020"])  # v010, v020 ... are restricted in fr
    expected = [item.expected_seconds for item in answer.items]
    assert None not in expected
    assert expected == sorted(expected, reverse=True)
    assert answer.generation == GenerationStore.open(live).live().generation
    assert {"tower", "trending"} <= {source for item in answer.items for source in item.sources}


def test_no_server_needs_feasts_registry(live: Settings):
    """On a fresh cluster the job that registers the definitions runs after the servers have begun."""
    assert ask(live, "ann").degraded == []
    assert not Path(live.registry_path).exists()


def test_rest_grpc_and_the_bare_graph_agree_and_so_do_two_answers(live: Settings):
    rest, again, rpc, graph = (ask(live, "ann", way) for way in (ask_rest, ask_rest, ask_grpc, ask_graph))
    assert rest.items == again.items
    assert rest.items == rpc.items
    assert ids(graph) == ids(rest)
    assert all(item.features for item in graph.items)
    assert not any(item.features for item in rest.items)


def test_a_request_writes_no_line_into_the_steps_logs(live: Settings):
    logs = [live.home / "logs" / f"{step}.log" for step in ("retrieval", "ranking")]
    before = [log.stat().st_size for log in logs]
    for _ in range(3):
        ask_rest(live, RecommendRequest(user_id="ann", k=K))
    assert [log.stat().st_size for log in logs] == before


def test_an_unknown_user_gets_popular_videos_and_nothing_is_degraded(live: Settings):
    answer = ask(live, "nobody", country="fr")
    assert answer.degraded == []
    assert {tuple(item.sources) for item in answer.items} == {("popular",)}
    assert ids(answer)[:3] == ["v003", "v002", "v001"]  # as often as their number was each watched in fr
    assert [item.expected_seconds for item in answer.items] == [None] * K


@pytest.mark.parametrize("k", [0, -1, 501])
def test_k_out_of_range_is_refused_in_one_sentence(live: Settings, k: int):
    wanted = f"k = {k} came; wanted 1 to 500"
    for way in (ask_rest, ask_grpc):
        with pytest.raises(RequestError) as caught:
            ask(live, "ann", way, k=k)
        assert str(caught.value) == wanted
    response = httpx.get(f"{rest_url(live)}/v1/recommendations", params={"user_id": "ann", "k": k})
    assert (response.status_code, response.json()) == (400, {"error": {"code": "invalid_argument", "message": wanted}})


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"user_id": 7}', b"\xff", b"[" * 100_000, b"x" * 1_000_000])
def test_bodies_that_are_no_request_are_refused(live: Settings, body: bytes):
    response = httpx.post(f"{rest_url(live)}/v1/recommendations", content=body)
    assert response.status_code == 400
    assert response.json()["error"]["code"] == "invalid_argument"


def test_the_graph_refuses_as_the_gateway_does(live: Settings):
    with pytest.raises(RequestError, match="k = 0 came; wanted 1 to 500"):
        ask(live, "ann", ask_graph, k=0)


def test_health_reflection_and_the_four_pages(live: Settings):
    with grpc.insecure_channel(f"127.0.0.1:{live.gateway.grpc_port}") as channel:
        health = health_pb2_grpc.HealthStub(channel)
        for service in ("", "watchnext.v1.Recommender"):
            status = health.Check(health_pb2.HealthCheckRequest(service=service)).status
            assert status == health_pb2.HealthCheckResponse.SERVING
        assert "watchnext.v1.Recommender" in ProtoReflectionDescriptorDatabase(channel).get_services()
    pages = {page: httpx.get(f"{rest_url(live)}/{page}") for page in ("healthz", "readyz", "version", "metrics")}
    assert {page.status_code for page in pages.values()} == {200}
    assert 'watchnext_answers_total{code="200",protocol="rest"}' in pages["metrics"].text
    assert "RecommendAnswer" in httpx.get(f"{rest_url(live)}/openapi.json").json()["components"]["schemas"]


def test_a_grpc_deadline_is_respected(live: Settings):
    with hung(live, "router"), grpc.insecure_channel(f"127.0.0.1:{live.gateway.grpc_port}") as channel:
        stub = recommend_pb2_grpc.RecommenderStub(channel)
        answer = stub.Recommend(pb.RecommendRequest(user_id="ann", k=K), timeout=1.0)
    assert list(answer.degraded) == ["graph"]
    assert len(answer.items) == K


def test_explanations_and_why_not(live: Settings):
    asked = ["v003", "v010", "v999", "v011"]
    answer = ask(live, "ann", k=50, explain=True, why_not=asked)
    assert answer.why_not["v003"] == "seen: the user has watched it"
    assert answer.why_not["v010"] == "restricted in fr"
    assert answer.why_not["v999"].startswith("unknown")
    assert answer.why_not["v011"].startswith("it is in the list")
    first = answer.items[0].explanation
    assert first is not None
    assert first.nearest_watched in SEEN
    assert first.contributions
    assert first.features["user_watches"] == 3


def test_served_lists_flow_into_kafka(live: Settings):
    from kafka import KafkaConsumer

    wanted = ask(live, "ann", request_id="for-kafka")
    consumer = KafkaConsumer(
        Topic.SERVED.value,
        bootstrap_servers=live.kafka.bootstrap,
        auto_offset_reset="earliest",
        enable_auto_commit=False,
        consumer_timeout_ms=20_000,
    )
    for message in consumer:
        event = json.loads(message.value)
        if event["request_id"] == "for-kafka":
            break
    else:
        pytest.fail("the served list did not arrive")
    consumer.close()
    assert message.key == b"ann"
    assert [item["video_id"] for item in event["items"]] == ids(wanted)
    assert all(item["features"] for item in event["items"])


@pytest.mark.parametrize(
    ("how", "part", "degraded", "scored"),
    [
        (hung, "torchserve", ["ranking"], False),
        (killed, "torchserve", ["ranking"], False),
        (hung, "milvus", ["index"], True),
        (killed, "milvus", ["index"], True),
        (hung, "valkey", ["features"], False),
        (killed, "valkey", ["features"], False),
        (hung, "router", ["graph"], False),
        (killed, "router", ["graph"], False),
        (hung, "retrieval", ["graph"], False),
        (killed, "retrieval", ["graph"], False),
        (hung, "ranking", ["graph"], False),
        (killed, "ranking", ["graph"], False),
    ],
    ids=lambda value: getattr(value, "__name__", None) or str(value),
)
def test_a_rung_of_the_ladder(live: Settings, how: Any, part: str, degraded: list[str], scored: bool):
    with how(live, part):
        for _ in range(4):  # past the breaker's limit: slow first, then quick, always an answer
            answer = ask(live, "ann")
            assert answer.degraded == degraded
            assert len(ids(answer)) >= K
            assert [item.expected_seconds is not None for item in answer.items] == [scored] * K


def test_the_ranking_step_calls_an_envelope_of_another_release_a_failure_of_ours(live: Settings):
    url = f"http://{live.serving.host}:{live.serving.ranking_port}/v1/models/ranker:predict"
    response = httpx.post(url, json={"schema_version": 2}, timeout=10)
    assert response.status_code == 500
    assert "wants the retrieval step's envelope" in response.text


def test_kafka_hung_delays_no_answer_and_each_list_is_written_or_counted_as_dropped(live: Settings):
    with hung(live, "kafka"):
        for _ in range(5):
            assert ask(live, "ann").degraded == []
    answered = counted(live, "watchnext_answers_total", code="200") + counted(
        live, "watchnext_answers_total", code="OK"
    )
    assert sum(settled(live, answered)) == answered


def test_the_gateway_drains_before_it_ends(live: Settings):
    gateway = psutil.Process(pid_of(live, "gateway"))
    gateway.terminate()
    deadline = time.monotonic() + 20
    statuses = []
    while time.monotonic() < deadline:
        try:
            statuses.append(httpx.get(f"{rest_url(live)}/readyz", timeout=5).status_code)
        except httpx.HTTPError:
            break
        time.sleep(0.02)
    assert 503 in statuses
    gateway.wait(20)
    supervisor.up(live, ONLY)


def test_the_ranking_step_closes_its_connections_when_it_ends(live: Settings):
    ask(live, "ann")
    ranking = psutil.Process(pid_of(live, "ranking"))
    ranking.terminate()
    ranking.wait(20)
    assert "Unclosed" not in (live.home / "logs" / "ranking.log").read_text()
    supervisor.up(live, ONLY)
    recover(live)


def test_the_verbs(live: Settings, monkeypatch: pytest.MonkeyPatch):
    from typer.testing import CliRunner

    from watchnext.cli.main import app
    from watchnext.local.environment import server_environment

    for name, value in server_environment(live).items():
        monkeypatch.setenv(name, value)
    for flags in ([], ["--grpc"], ["--graph"]):
        run = CliRunner().invoke(app, ["recommend", "ann", "-k", "3", *flags])
        assert run.exit_code == 0, run.output
        assert "Film" in run.output
    run = CliRunner().invoke(app, ["explain", "ann", "v003", "--json"])
    assert json.loads(run.stdout)["why_not"] == {"v003": "seen: the user has watched it"}
    assert CliRunner().invoke(app, ["recommend", "ann", "-k", "0"]).exception.exit_code == 2
