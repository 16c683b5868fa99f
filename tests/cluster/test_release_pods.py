"""Each pod of the release is deleted once while requests go on."""

from collections.abc import Iterator

import pytest

from tests.cluster.release import NAMESPACE, Load, Release, until


@pytest.fixture(scope="module")
def load(release: Release) -> Iterator[Load]:
    """One for all, so that a pod which takes its time to end does it under load, too."""
    with release.load() as load:
        yield load
    assert load.failed == []


@pytest.mark.parametrize(
    "component",
    ["graph", "gateway", "retrieval", "ranking", "ranker", "materializer", "milvus", "valkey", "kafka"],
)
def test_answers_go_on_when_a_pod_is_deleted(release: Release, load: Load, component: str) -> None:
    answered = len(load.results)
    pods = release.pods(component)
    release.cluster.kubectl("-n", NAMESPACE, "delete", "pod", pods[0], "--wait=false")
    until(lambda: len(release.pods(component)) == len(pods), 180, f"another pod of {component} is ready")
    release.wait_until_ready(180)
    assert load.since(answered).failed == []
