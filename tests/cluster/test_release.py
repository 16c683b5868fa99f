"""The chart on a real cluster, from the first answer on. The tests, and those of test_release_*.py, go on in order."""

import json

from tests.chart.binaries import pod_security_violations
from tests.cluster.release import NAME, NAMESPACE, OURS, Release, until

USER = "user-7"
SEND_WATCHES = """
import sys, time
from watchnext.contracts.events import WatchEvent
from watchnext.contracts.names import Topic
from watchnext.settings import load_settings
from watchnext.stream.producer import EventProducer
settings = load_settings(kafka={"bootstrap": sys.argv[1]})
now = int(time.time() * 1000)
with EventProducer(settings) as producer:
    for number, video in enumerate(sys.argv[3:]):
        producer.send(Topic.WATCH, WatchEvent(event_id=f"e-{now}-{number}", user_id=sys.argv[2], video_id=video,
            started_at=now - 120_000, watch_seconds=60.0, video_seconds=60.0, completed=True, surface="home"))
"""


def test_every_capability_passes_its_helm_test(release: Release) -> None:
    told = release.cluster.helm("test", NAME, "-n", NAMESPACE, "--timeout", "5m")
    assert told.count("Phase:          Succeeded") == 5


def test_a_client_outside_is_answered_by_graph_gateway_and_grpc(release: Release) -> None:
    live = release.generation("live")
    by_graph = release.ask(f"{NAME}-graph", "/", user_id=USER, k=5)
    by_rest = release.ask(f"{NAME}-gateway", "/v1/recommendations", user_id=USER, k=5)
    told = release.client(
        "watchnext", "--set", f"gateway.host={NAME}-gateway.{NAMESPACE}", "--set", "gateway.grpc_port=9000",
        "recommend", USER, "-k", "5", "--grpc", "--json",
    )  # fmt: skip
    by_grpc = json.loads(told)
    for answer in (by_graph, by_rest, by_grpc):
        assert answer["generation"] == live
        assert answer["degraded"] == []
        assert len(answer["items"]) == 5
        assert all(item["expected_seconds"] > 0 for item in answer["items"])


def test_every_running_pod_is_restricted_but_for_one_word_in_kserves_router(release: Release) -> None:
    pods = release.cluster.list("pod", "-n", NAMESPACE, "-l", OURS)
    found = pod_security_violations(pods)
    routers = [
        violations
        for pod, violations in zip(pods, found, strict=True)
        if "serving.kserve.io/inferencegraph" in pod["metadata"]["labels"]
    ]
    assert [violation.split(" (")[0] for violations in routers for violation in violations] == ["seccompProfile"] * 2
    assert sum(map(len, found)) == len(routers)


def test_new_events_change_the_next_answer(release: Release) -> None:
    before = _videos(release)
    release.python(SEND_WATCHES, f"{NAME}-kafka.{NAMESPACE}:9092", USER, *before)

    def changed() -> bool:
        return not set(_videos(release)) & set(before)

    until(changed, 60, "the five videos that were watched have left the list")


def test_a_generation_goes_live_and_back_under_load(release: Release) -> None:
    first = release.generation("live")
    with release.load() as load:
        release.cluster.kubectl("-n", NAMESPACE, "create", "job", f"--from=cronjob/{NAME}-train", "second")
        release.wait_for_job("second")
        second = release.generation("live")
        until(lambda: load.names(second), 60, "answers are of the second generation")
        release.exec("watchnext", "generation", "rollback")
        until(lambda: load.names(first), 60, "answers are of the first generation again")
    assert second != first
    assert release.generation("live") == first
    assert load.failed == []
    assert load.generations == [first, second, first]


def _videos(release: Release) -> list[str]:
    answer = release.ask(f"{NAME}-gateway", "/v1/recommendations", user_id=USER, k=5)
    return [item["video_id"] for item in answer["items"]]
