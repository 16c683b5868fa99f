"""Each process is given the secrets of the stores that it opens, and of no other: equal to tables written by hand."""

from typing import Any, Final

from pipelines.shape import Shape
from tests.chart.pods import pods_of
from tests.chart.rendering import VALUES, Document, render, rendered
from tests.chart.test_train_jobs import shape_of

KAFKA: Final = {
    "WATCHNEXT_KAFKA__SASL_USERNAME": ("kafka-user", "username"),
    "WATCHNEXT_KAFKA__SASL_PASSWORD": ("kafka-user", "password"),
}
ONLINE: Final = {"WATCHNEXT_FEATURES__ONLINE_PASSWORD": ("redis", "password")}
GENERATIONS: Final = {key: ("bucket", key) for key in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")}
MILVUS: Final = {"WATCHNEXT_MILVUS__TOKEN": ("milvus", "token")}
CALLER: Final = {"WATCHNEXT_GATEWAY__API_KEYS": ("api-keys", "keys.json")}

Given = dict[str, tuple[str, str]]

# The guard and TorchServe open no store: the follower loads what TorchServe serves.
TABLE: Final[dict[tuple[str, str], Given]] = {
    ("Deployment/watchnext-ci-gateway", "gateway"): CALLER | KAFKA | GENERATIONS,
    ("Deployment/watchnext-ci-materializer", "materializer"): KAFKA | ONLINE,
    ("InferenceGraph/watchnext-ci-graph", "watchnext-ci-graph"): {},
    ("InferenceService/watchnext-ci-ranking.predictor", "kserve-container"): {},
    ("InferenceService/watchnext-ci-ranking.predictor", "follower"): GENERATIONS,
    ("InferenceService/watchnext-ci-ranking.transformer", "kserve-container"): {},
    ("InferenceService/watchnext-ci-retrieval.predictor", "kserve-container"): ONLINE | GENERATIONS | MILVUS,
    ("Job/watchnext-ci-definitions", "definitions"): ONLINE,
    ("Job/watchnext-ci-upload-pipelines", "upload"): {},
    ("Pod/watchnext-ci-test-rest", "check"): CALLER,
    ("Pod/watchnext-ci-test-grpc", "check"): CALLER,
    ("Pod/watchnext-ci-test-graph", "check"): {},
    ("Pod/watchnext-ci-test-features", "check"): KAFKA | ONLINE,
    ("Pod/watchnext-ci-test-index", "check"): GENERATIONS | MILVUS,
    ("TrainingRuntime/watchnext-ci-train", "node"): KAFKA | ONLINE | GENERATIONS | MILVUS,
}


def given(container: dict[str, Any]) -> Given:
    secrets = {one["name"]: one.get("valueFrom", {}).get("secretKeyRef") for one in container.get("env", ())}
    return {name: (secret["name"], secret["key"]) for name, secret in secrets.items() if secret}


def test_a_process_has_the_secrets_of_the_stores_that_it_opens() -> None:
    pods = pods_of(rendered("all-options"))

    assert {(pod.owner, one["name"]): given(one) for pod in pods for one in pod.containers} == TABLE


def test_trainings_by_cron_open_every_store() -> None:
    job = {"engine": "job", "nodes": 1, "schedule": "", "refreshSchedule": "", "affinity": {}}
    pods = pods_of(render(VALUES["all-options"], training=job))
    trainings = {pod.owner: given(one) for pod in pods if pod.owner.startswith("CronJob/") for one in pod.containers}

    every = KAFKA | ONLINE | GENERATIONS | MILVUS
    assert trainings == {f"CronJob/watchnext-ci-{name}": every for name in ("train", "refresh-index")}


def test_steps_in_kubeflow_open_every_store() -> None:
    documents: list[Document] = list(rendered("all-options"))
    shape: Shape = shape_of(documents)

    found = {name: (secret["name"], secret["key"]) for name, secret in shape.secrets.items()}
    assert found == KAFKA | ONLINE | GENERATIONS | MILVUS
