"""A training on several nodes: what its pods are, who may make them, and whom they may call."""

import json
from dataclasses import replace
from typing import Any, Final

import pytest

from pipelines.shape import Shape
from tests.chart.edges import edges, peers_of
from tests.chart.pods import pods_of
from tests.chart.rendering import NAMESPACE, PREFIX, Document, of_kind, render
from tests.chart.test_static import unfit

SEVERAL: Final[dict[str, Any]] = {
    "engine": "kubeflow",
    "nodes": 4,
    "kubeflow": {"host": "http://ml-pipeline.kubeflow:8888"},
    "gpu": {"enabled": True, "count": 8},
    "nodeSelector": {"rack": "7"},
}
ANYWHERE: Final = (29500, 40123)  # where the first node waits for the others, and any other


@pytest.fixture(scope="module")
def documents() -> list[Document]:
    return render(training=SEVERAL)


def named_account(name: str) -> dict[str, Any]:
    return SEVERAL | {"kubeflow": SEVERAL["kubeflow"] | {"serviceAccount": name}}


def shape_of(documents: list[Document]) -> Shape:
    (upload,) = (one for one in of_kind(documents, "Job") if one["metadata"]["name"].endswith("-upload-pipelines"))
    (container,) = upload["spec"]["template"]["spec"]["containers"]
    (shape,) = (one for one in container["command"] if one.startswith("--shape="))
    return Shape.read(shape.removeprefix("--shape="))


def test_the_steps_name_the_runtime_that_the_chart_makes(documents: list[Document]) -> None:
    (runtime,) = of_kind(documents, "TrainingRuntime")
    shape = shape_of(documents)

    assert (shape.runtime, shape.nodes) == (runtime["metadata"]["name"], 4) == (f"{PREFIX}-train", 4)
    assert runtime["spec"]["mlPolicy"] == {"numNodes": 4, "torch": {}}


def test_the_steps_pull_their_image_with_the_secrets_of_the_release() -> None:
    assert shape_of(render(training=SEVERAL, **{"image.pullSecrets": [{"name": "mine"}]})).pull_secrets == ["mine"]


def test_the_steps_have_the_password_of_each_store_out_of_one_secret() -> None:
    brought = {
        "kafka.enabled": False,
        "externalKafka": {
            "bootstrap": "kafka:9093",
            "securityProtocol": "SASL_SSL",
            "saslMechanism": "PLAIN",
            "existingSecret": "stores",
        },
        "valkey.enabled": False,
        "externalRedis": {"hosts": "redis:6379", "existingSecret": "stores"},
    }
    variables = {
        "WATCHNEXT_KAFKA__SASL_USERNAME": "username",
        "WATCHNEXT_KAFKA__SASL_PASSWORD": "password",
        "WATCHNEXT_FEATURES__ONLINE_PASSWORD": "password",
    }
    shape = shape_of(render(training=SEVERAL, **brought))
    assert shape.secrets == {name: {"name": "stores", "key": key} for name, key in variables.items()}


def test_a_node_has_accelerator_shared_memory_state_and_its_place(documents: list[Document]) -> None:
    (pod,) = (pod for pod in pods_of(documents) if pod.owner.startswith("TrainingRuntime/"))
    (container,) = pod.containers
    mounts = {mount["mountPath"]: mount["name"] for mount in container["volumeMounts"]}
    volumes = {volume["name"]: volume for volume in pod.spec["volumes"]}

    assert container["name"] == "node"  # what Trainer sets command, image and environment of
    assert "command" not in container
    assert container["resources"]["limits"] == {"memory": "16Gi", "nvidia.com/gpu": 8}
    assert pod.spec["nodeSelector"] == {"nvidia.com/gpu.present": "true", "rack": "7"}
    assert pod.spec["tolerations"] == [{"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}]
    assert volumes[mounts["/dev/shm"]]["emptyDir"] == {"medium": "Memory", "sizeLimit": "2Gi"}
    assert volumes[mounts["/var/lib/watchnext"]]["persistentVolumeClaim"] == {"claimName": f"{PREFIX}-state"}
    assert {"name": "WATCHNEXT_HOME", "value": "/var/lib/watchnext"} in container["env"]


def test_the_schema_refuses_what_trainer_would(documents: list[Document]) -> None:
    (runtime,) = json.loads(json.dumps(of_kind(documents, "TrainingRuntime")))
    runtime["spec"]["mlPolicy"]["numNodes"] = "four"

    (refusal,) = unfit((runtime,))
    assert "got string, want integer" in refusal


def test_one_node_needs_no_trainer() -> None:
    one = render(training=named_account("pipeline-runner") | {"nodes": 1})

    assert of_kind(one, "TrainingRuntime", "Role", "RoleBinding") == []
    assert shape_of(one).nodes == 1


@pytest.mark.parametrize("name", ["daily #2", "videos: daily"])
def test_an_experiment_is_named_as_it_is_written(name: str) -> None:
    kubeflow = SEVERAL["kubeflow"] | {"experiment": name}
    jobs = of_kind(render(training=SEVERAL | {"kubeflow": kubeflow}), "Job")
    (upload,) = (one for one in jobs if one["metadata"]["name"].endswith("-upload-pipelines"))

    assert f"--experiment={name}" in upload["spec"]["template"]["spec"]["containers"][0]["command"]


def test_what_recurs_in_kubeflow_follows_an_upgrade_and_its_rollback(documents: list[Document]) -> None:
    hooks = {one["metadata"]["annotations"]["helm.sh/hook"] for one in of_kind(documents, "Job")}

    assert len(of_kind(documents, "Job")) == 2  # the upload, and `feast apply`
    assert hooks == {"post-install,post-upgrade,post-rollback"}


def test_rights_are_given_to_the_named_account_only(documents: list[Document]) -> None:
    asked = render(training=named_account("pipeline-runner"))
    (role,), (binding,) = of_kind(asked, "Role"), of_kind(asked, "RoleBinding")

    assert of_kind(documents, "Role", "RoleBinding") == []
    assert {(tuple(rule["resources"]), tuple(rule["verbs"])) for rule in role["rules"]} == {
        (("trainjobs",), ("create", "get", "delete")),
        (("pods",), ("list",)),
        (("pods/log",), ("get",)),
    }
    assert binding["roleRef"]["name"] == role["metadata"]["name"]
    assert binding["subjects"] == [{"kind": "ServiceAccount", "name": "pipeline-runner", "namespace": NAMESPACE}]


def test_nodes_of_a_training_may_call_each_other_on_every_port_and_nobody_else_may(documents: list[Document]) -> None:
    peers = peers_of(pods_of(documents))
    (node,) = (peer for peer in peers if peer.name == "train")
    other = replace(node, name="other node")
    called = {edge[:2] for edge in edges(documents, [*peers, other], ANYWHERE)}
    alone = render(training=SEVERAL | {"nodes": 1})

    assert called == {("train", "other node"), ("other node", "train")}
    assert edges(alone, [node, other], ANYWHERE) == set()
