"""The generations move from the state claim into a bucket, as docs/cluster.md says, and serving follows them there."""

from typing import Any

import pytest
import yaml

from tests.chart.binaries import pod_security_violations
from tests.cluster import bucket
from tests.cluster.conftest import CHART
from tests.cluster.images import REPOSITORY
from tests.cluster.release import CLIENTS, NAME, NAMESPACE, PACKAGES, ROOT, TAG, Release, until
from tests.local.bucket_server import BUCKET, REGION

MANIFEST = ROOT / "k8s" / "copy-generations.yaml"
POINTER = "/var/lib/watchnext/generations/live.json"  # on the claim


@pytest.fixture(scope="module")
def server(release: Release, tmp_path_factory: pytest.TempPathFactory) -> None:
    bucket.start(release, tmp_path_factory.mktemp("bucket"))


def copying(release: Release) -> dict[str, Any]:
    """The Job of the manifest, with what its first lines call the operator's."""
    job: dict[str, Any] = yaml.safe_load(MANIFEST.read_text())
    spec = job["spec"]["template"]["spec"]
    (container,) = spec["containers"]
    container |= {"image": f"{REPOSITORY}/pipelines:{TAG}", "imagePullPolicy": "Never"}
    ours = {
        "TARGET": f"{BUCKET}/{bucket.PREFIX}/",
        "AWS_ENDPOINT_URL": bucket.ENDPOINT,
        "AWS_DEFAULT_REGION": REGION,
    }
    container["env"] = [{"name": one["name"], "value": ours.get(one["name"], one["value"])} for one in container["env"]]
    if release.cluster.shares_files:
        spec["volumes"].append({"name": "packages", "persistentVolumeClaim": {"claimName": "packages"}})
        container["volumeMounts"].append({"name": "packages", "mountPath": PACKAGES, "readOnly": True})
    job["metadata"]["namespace"] = NAMESPACE
    return job


def test_a_copied_store_is_followed_in_the_bucket_without_a_failed_request(release: Release, server: None) -> None:
    live = release.generation("live")
    job = copying(release)
    release.cluster.apply(job)
    release.wait_for_job(job["metadata"]["name"])
    with release.load(3) as load:
        release.install(CHART, TAG, verb="upgrade", **bucket.VALUES)
        release.wait_until_ready()
    delete_job(release, job["metadata"]["name"])

    assert pod_security_violations([job["spec"]["template"]]) == [[]]
    assert f"{bucket.PREFIX}/{live}/manifest.json" in bucket.objects(release)
    assert load.failed == []
    assert {name for name in load.generations if name} == {live}  # none: a list without one while retrieval restarts
    assert release.generation("live") == live


def test_the_charts_job_publishes_into_the_bucket_and_answers_follow_its_pointer(
    release: Release, server: None
) -> None:
    live, on_the_claim = release.generation("live"), release.exec("cat", POINTER)
    with release.load() as load:
        job = ("create", "job", f"--from=cronjob/{NAME}-refresh-index", "refresh")
        release.cluster.kubectl("-n", NAMESPACE, *job)
        release.wait_for_job("refresh")
        until(lambda: served(release) == (live, 1), 60, "answers are of the overlay")
        release.exec("watchnext", "generation", "rollback")
        until(lambda: served(release) == (live, 0), 60, "answers are of before")
    delete_job(release, "refresh")

    assert f"{bucket.PREFIX}/{live}/overlays/1/manifest.json" in bucket.objects(release)
    assert load.failed == []
    assert load.generations == [live]
    assert release.exec("cat", POINTER) == on_the_claim


def delete_job(release: Release, name: str) -> None:
    """With its pods, which would keep the claim that they name."""
    release.cluster.kubectl("-n", NAMESPACE, "delete", "job", name)


def served(release: Release) -> tuple[str, int]:
    """Generation and overlay of an answer."""
    answer = release.ask(f"{NAME}-gateway", "/v1/recommendations", user_id="user-7", k=5)
    return answer["generation"], answer["overlay"]


def test_answers_go_on_while_the_bucket_is_away(release: Release, server: None) -> None:
    with release.load() as load:
        release.cluster.kubectl("-n", CLIENTS, "delete", "pod", bucket.POD)
        answered = len(load.results)
        # readiness is asked every 3 s, each time for 3 s at most, and three times no makes a pod unready: 12 s
        until(lambda: len(load.results) > answered + 75, 120, "the answers of 15 s")
        release.wait_until_ready(30)

    assert load.failed == []
    assert [result["degraded"] for result in load.results[-20:]] == [[]] * 20
    assert len(load.generations) == 1
