"""What needs no cluster: Helm's lint, schemas of all kinds, kube-score, Pod Security, what every container says."""

import json
import re
import subprocess
from functools import cache
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from helm.generate import CHART, KUBERNETES, REPO
from tests.chart import schemas
from tests.chart.binaries import helm, pod_security_violations, program
from tests.chart.pods import Pod, pods_of, workloads_of
from tests.chart.rendering import VALUES, Document, named, of_kind, rendered, template

WAIVERS: Final = yaml.safe_load((Path(__file__).parent / "waivers.yaml").read_text())
OK: Final = 10  # kube-score's grade without a finding


def test_helm_lint_finds_nothing(values: str) -> None:
    command = [
        str(helm()),
        "lint",
        "--strict",
        "--kube-version",
        KUBERNETES,
        "--values",
        str(VALUES[values]),
        str(CHART),
    ]
    run = subprocess.run(command, capture_output=True, text=True, check=False)

    assert run.returncode == 0, run.stdout


def test_objects_fit_the_schemas_of_their_kinds(values: str) -> None:
    assert unfit(rendered(values)) == []


def test_the_policy_offered_for_the_routers_pods_fits_its_schema() -> None:
    policy = tuple(yaml.safe_load_all((REPO / "k8s" / "router-seccomp.yaml").read_text()))

    assert [document["kind"] for document in policy] == ["MutatingAdmissionPolicy", "MutatingAdmissionPolicyBinding"]
    assert unfit(policy) == []


@pytest.mark.parametrize(
    ("kind", "path", "value", "finding"),
    [
        ("Deployment", "spec.template.spec.dnsPolcy", "Default", "'dnsPolcy' not allowed"),
        ("Service", "spec.ports", "many", "got string, want array"),
        ("InferenceService", "spec.predictor.modle", {}, "'modle' not allowed"),
        ("InferenceGraph", "spec.routerTimeouts.serviceClient", "soon", "got string, want integer"),
        ("ScaledObject", "spec.minReplicas", 1, "'minReplicas' not allowed"),
        ("PodMonitor", "spec.podMetricsEndpoints", {}, "got object, want array"),
        ("KafkaNodePool", "spec.roles", ["boss"], "value must be one of"),
    ],
)
def test_the_schemas_refuse_what_an_api_server_would(kind: str, path: str, value: Any, finding: str) -> None:
    (document, *_) = of_kind(json.loads(json.dumps(rendered("own-stores"))), kind)
    inner = document
    *way, last = path.split(".")
    for key in way:
        inner = inner.setdefault(key, {})
    inner[last] = value

    (told,) = unfit((document,))
    assert finding in told


@pytest.mark.parametrize(
    ("name", "values"),
    [
        (
            "all-options",
            {
                "fullnameOverride": "",
                "nameOverride": "on",
                "config.kafka.group": "12",
                "commonLabels": {"tier": "1e3"},
                "serviceAccount.name": "1",
                "state.existingClaim": "2",
                "generations.existingSecret": "3",
                "gateway.apiKeysSecret": {"name": "4", "key": "5"},
                "externalKafka.existingSecret": "6",
                "externalKafka.caSecret": "7",
                "externalRedis.existingSecret": "8",
                "externalMilvus.existingSecret": "9",
                "training.kubeflow.serviceAccount": "10",
            },
        ),
        (
            "own-stores",
            {
                "fullnameOverride": "null",
                "state.storageClass": "1",
                **{f"{store}.storageClass": "1" for store in ("kafka", "valkey", "milvus")},
                "kafka.version": "4.0",
                "kafka.size": "500",
            },
        ),
        ("values", {"fullnameOverride": "y", "kafka.image": "1", "valkey.image": "1"}),
    ],
)
def test_names_that_yaml_would_read_as_numbers_or_switches_stay_text(name: str, values: dict[str, Any]) -> None:
    run = template(VALUES[name], release="true", namespace="1234", **values)

    assert run.returncode == 0, run.stderr
    assert unfit_text(run.stdout) == []


def test_labels_that_are_given_twice_stand_once_and_the_nearer_holds() -> None:
    common = {"release": "ours", "grafana": "no", "strimzi.io/cluster": "another", "team": "videos"}
    nearer = {"monitoring.labels": {"release": "prometheus"}, "monitoring.dashboards": True}
    run = template(VALUES["own-stores"], commonLabels=common, **nearer, **{"monitoring.dashboardLabels.grafana": "yes"})
    documents = [one for one in yaml.load_all(run.stdout, UniqueKeys) if one]
    labels = {kind: of_kind(documents, kind)[0]["metadata"]["labels"] for kind in ("PodMonitor", "KafkaTopic")}
    (dashboard, *_) = (one for one in of_kind(documents, "ConfigMap") if "-dashboard-" in one["metadata"]["name"])

    assert run.returncode == 0, run.stderr
    assert labels["PodMonitor"]["release"] == "prometheus"
    assert labels["KafkaTopic"]["strimzi.io/cluster"] == "shop-watchnext-kafka"
    assert dashboard["metadata"]["labels"]["grafana"] == "yes"
    assert {one["metadata"]["labels"]["team"] for one in documents} == {"videos"}


class UniqueKeys(yaml.SafeLoader):
    """Refuses a key that stands twice in a mapping, as Argo CD and kustomize do."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [key.value for key, _ in node.value]
        assert len(set(keys)) == len(keys), f"a key stands twice: {sorted(keys)}"
        return super().construct_mapping(node, deep)


def unfit(documents: tuple[Document, ...]) -> list[str]:
    """What kubeconform finds, the objects without a schema included."""
    return unfit_text(as_yaml(documents))


def unfit_text(text: str) -> list[str]:
    command = [str(program("kubeconform")), "-strict", "-output", "json"]
    command += ["-schema-location", f"{schemas.folder()}/{schemas.LOCATION}", "-"]
    run = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
    assert run.stdout, run.stderr
    return [f"{one['kind']}/{one['name']}: {one['msg']}" for one in json.loads(run.stdout)["resources"] or ()]


def test_kube_score_finds_what_is_waived_and_no_more(values: str) -> None:
    assert [one for one in score(values) if not any(waives(waiver, one) for waiver in WAIVERS)] == []


def test_every_waiver_is_needed() -> None:
    findings = [finding for values in VALUES for finding in score(values)]

    assert [one["check"] for one in WAIVERS if not any(waives(one, finding) for finding in findings)] == []


@cache
def score(values: str) -> list[tuple[str, str, str]]:
    """Check, object and words of kube-score's findings, KServe's workloads included. CPU limits only throttle."""
    command = [str(program("kube-score")), "score", "--output-format", "json", "--ignore-container-cpu-limit"]
    command += ["--kubernetes-version", f"v{KUBERNETES.rpartition('.')[0]}", "-"]
    documents = rendered(values) + tuple(workloads_of(rendered(values)))
    run = subprocess.run(command, input=as_yaml(documents), capture_output=True, text=True, check=False)
    assert run.stdout, run.stderr
    return [
        (check["check"]["id"], f"{scored['type_meta']['kind']}/{scored['object_meta']['name']}", str(check["comments"]))
        for scored in json.loads(run.stdout)
        for check in scored["checks"]
        if not check["skipped"] and check["grade"] < OK
    ]


def waives(waiver: dict[str, str], finding: tuple[str, str, str]) -> bool:
    return waiver["check"] == finding[0] and re.fullmatch(waiver["objects"], finding[1]) is not None


def as_yaml(documents: tuple[Document, ...]) -> str:
    return yaml.dump_all(documents, Dumper=yaml.CSafeDumper)


def test_every_pod_of_ours_passes_pod_security_restricted(values: str) -> None:
    pods = pods_of(rendered(values))
    violations = pod_security_violations([{"metadata": {"labels": dict(pod.labels)}, "spec": pod.spec} for pod in pods])
    failing = {pod.owner: told for pod, told in zip(pods, violations, strict=True) if pod.ours and told}

    assert failing == {}


def test_the_evaluator_names_what_a_careless_pod_violates() -> None:
    careless = {"spec": {"containers": [{"name": "a", "image": "a:1"}]}}

    (told,) = pod_security_violations([careless])
    assert [one.split(" (")[0] for one in told] == [
        "allowPrivilegeEscalation != false",
        "unrestricted capabilities",
        "runAsNonRoot != true",
        "seccompProfile",
    ]


def test_every_container_asks_for_what_it_needs_and_writes_only_where_it_may(values: str) -> None:
    lacking = [
        f"{pod.owner}/{container['name']}: {lack}"
        for pod in pods_of(rendered(values))
        if pod.ours
        for container in pod.containers
        for lack in lacks(container)
    ]

    assert lacking == []


def lacks(container: Document) -> list[str]:
    resources = container.get("resources", {})
    wanted = {
        "request of cpu": resources.get("requests", {}).get("cpu"),
        "request of memory": resources.get("requests", {}).get("memory"),
        "limit of memory": resources.get("limits", {}).get("memory"),
        "read-only root": container.get("securityContext", {}).get("readOnlyRootFilesystem"),
    }
    return [lack for lack, there in wanted.items() if not there]


def test_every_mount_has_its_volume(values: str) -> None:
    assert [told for pod in pods_of(rendered(values)) for told in unknown_mounts(pod)] == []


def unknown_mounts(pod: Pod) -> list[str]:
    claims = {"data"} if pod.owner.startswith("StatefulSet/") else set()
    volumes = {volume["name"] for volume in pod.spec.get("volumes", ())} | claims
    mounts = {mount["name"] for container in pod.containers for mount in container.get("volumeMounts", ())}
    return [f"{pod.owner}: {name}" for name in sorted(mounts - volumes)]


def test_no_pod_has_a_token_of_the_api_server(values: str) -> None:
    pods = [pod for pod in pods_of(rendered(values)) if pod.ours]

    assert [pod.owner for pod in pods if pod.spec.get("automountServiceAccountToken") is not False] == []


def test_images_have_tags_and_are_not_bitnamis(values: str) -> None:
    images = {
        container.get("image", "") for pod in pods_of(rendered(values)) if pod.ours for container in pod.containers
    }

    assert images
    assert [image for image in images if not re.fullmatch(r"[\w./-]+:(?!latest)[\w.-]+", image)] == []
    assert [image for image in images if "bitnami" in image] == []


SECRET: Final = re.compile(r"password|secret|token|api_?key|credential", re.IGNORECASE)


def test_secrets_are_named_and_never_written_out(values: str) -> None:
    documents = rendered(values)
    written = [
        f"{pod.owner}/{container['name']}: {variable['name']}"
        for pod in pods_of(documents)
        for container in pod.containers
        for variable in container.get("env", ())
        if SECRET.search(variable["name"]) and "secretKeyRef" not in variable.get("valueFrom", {})
    ]
    settings = [
        f"{named(document)}: {line}"
        for document in of_kind(documents, "ConfigMap")
        if "dashboard" not in document["metadata"]["name"]
        for text in document["data"].values()
        for line in text.splitlines()
        if SECRET.search(line)
    ]

    keys = {key for document in of_kind(documents, "Secret") for key in document["stringData"]}

    assert written == []
    assert settings == []
    assert keys <= {"tls", "sasl"}  # KEDA wants these two choices in a Secret


def test_every_object_says_its_release_and_namespace(values: str) -> None:
    documents = rendered(values)
    labels = [document["metadata"].get("labels", {}) for document in documents]

    assert [one.get("app.kubernetes.io/instance") for one in labels] == ["shop"] * len(documents)
    assert [one.get("app.kubernetes.io/managed-by") for one in labels] == ["Helm"] * len(documents)
    assert {document["metadata"].get("namespace") for document in documents} == {"videos"}
