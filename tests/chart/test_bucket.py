"""A bucket of generations reaches whoever uses it: by the settings file, by two keys, and through the policies."""

import json
from typing import Any, Final

import pytest
import yaml

from helm.generate import REPO
from tests.chart.edges import Peer, edges, peers_of
from tests.chart.pods import pods_of
from tests.chart.rendering import Document, of_kind, render
from watchnext.generation.store import GenerationStore
from watchnext.settings import load_settings

KEYS: Final = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
BUCKET: Final = {
    "url": "s3://bucket/prefix",
    "endpoint": "http://minio.storage:9000",
    "region": "eu-north-1",
    "existingSecret": "keys",
}
READERS: Final = {"gateway", "retrieval", "ranker", "train", "test"}
MINIO: Final = Peer("minio", address="10.20.0.5")


@pytest.fixture(scope="module")
def documents() -> list[Document]:
    return render(generations=BUCKET)


def keys_of(container: dict[str, Any]) -> dict[str, Any]:
    return {one["name"]: one["valueFrom"] for one in container.get("env", ()) if one["name"] in KEYS}


def test_whoever_reads_generations_has_the_keys_by_reference(documents: list[Document]) -> None:
    wanted = {key: {"secretKeyRef": {"name": "keys", "key": key}} for key in KEYS}
    found = [(pod.component, keys_of(one)) for pod in pods_of(documents) for one in pod.containers if keys_of(one)]

    assert {component for component, _ in found} == READERS
    assert [component for component, keys in found if keys != wanted] == []


def test_without_a_secret_the_pods_identity_is_used(documents: list[Document]) -> None:
    identity = render(generations=BUCKET | {"existingSecret": ""})

    assert [pod.owner for pod in pods_of(identity) for container in pod.containers if keys_of(container)] == []


def test_the_settings_file_of_every_pod_says_where_the_bucket_is(
    documents: list[Document], monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    (text,) = (one["data"]["config.yaml"] for one in of_kind(documents, "ConfigMap") if "config.yaml" in one["data"])
    (tmp_path / "config.yaml").write_text(text)
    monkeypatch.setenv("WATCHNEXT_CONFIG", str(tmp_path / "config.yaml"))
    settings = load_settings()

    assert GenerationStore.open(settings).files.url == "s3://bucket/prefix"
    assert (settings.generations.endpoint, settings.generations.region) == ("http://minio.storage:9000", "eu-north-1")
    assert set(yaml.safe_load(text)["generations"]) == {"url", "endpoint", "region"}


def test_the_steps_in_kubeflow_have_the_keys_too() -> None:
    kubeflow = {"engine": "kubeflow", "first": {"enabled": False}, "kubeflow": {"host": "http://kfp:8888"}}
    jobs = of_kind(render(generations=BUCKET, training=kubeflow), "Job")
    (command,) = (
        container["command"]
        for job in jobs
        for container in job["spec"]["template"]["spec"]["containers"]
        if container["name"] == "upload"
    )
    (shape,) = (json.loads(word.removeprefix("--shape=")) for word in command if word.startswith("--shape="))

    assert shape["secrets"] == {key: {"name": "keys", "key": key} for key in KEYS}


def test_a_copy_that_nobody_deletes_lets_go_of_the_claim_within_the_hour() -> None:
    job = yaml.safe_load((REPO / "k8s" / "copy-generations.yaml").read_text())

    assert "persistentVolumeClaim" in str(job["spec"]["template"]["spec"]["volumes"])
    assert job["spec"]["ttlSecondsAfterFinished"] == 3600


def test_the_policies_let_them_out_to_the_bucket_and_nobody_where_there_is_none(documents: list[Document]) -> None:
    def callers(rendered: list[Document]) -> set[str]:
        found = edges(rendered, [*peers_of(pods_of(rendered)), MINIO], (9000,))
        return {caller for caller, callee, _ in found if callee == "minio"}

    assert callers(documents) == READERS
    assert callers(render()) == set()


def test_a_server_of_the_same_cluster_is_reached_by_its_namespace() -> None:
    storage, shop = ({"kubernetes.io/metadata.name": name} for name in ("storage", "shop"))
    rendered = render(
        generations=BUCKET, **{"networkPolicy.external": [{"namespaceSelector": {"matchLabels": storage}}]}
    )
    server = Peer("server", "storage", {"app": "minio"}, namespace_labels=storage)
    other = Peer("other", "shop", {"app": "minio"}, namespace_labels=shop)
    found = edges(rendered, [*peers_of(pods_of(rendered)), server, other], (9000,))

    assert {caller for caller, callee, _ in found if callee == "server"} >= READERS
    assert {caller for caller, callee, _ in found if callee == "other"} & READERS == set()
