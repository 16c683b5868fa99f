"""A real API server takes every object of every values file, and KServe makes the pods that the chart reckons with.

Nothing runs: objects are only tried (`--dry-run=server`); what KServe makes of its own lies under a quota of no pods.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import pytest
import yaml

from helm.generate import CHART
from tests.chart import crds
from tests.chart.binaries import helm, pod_security_violations
from tests.chart.pods import pods_of
from tests.chart.rendering import NAMESPACE, VALUES, Document, of_kind, rendered
from tests.cluster.cluster import Cluster, CommandError

QUOTA: Final = f"{NAMESPACE}-without-pods"
RESTRICTED: Final = {f"pod-security.kubernetes.io/{mode}": "restricted" for mode in ("enforce", "warn")}
DRY: Final = ("apply", "--server-side", "--dry-run=server", "--validate=strict", "--warnings-as-errors", "-f", "-")
SERVING: Final = ("ServingRuntime", "InferenceService", "InferenceGraph")
ACCOUNTS: Final = ("shop-watchnext", "recommender")  # of all-options.yaml


SECRETS: Final = {  # of values-prod.yaml
    "gateway.apiKeysSecret.name": "watchnext-api-keys",
    "generations.existingSecret": "watchnext-bucket",
    "externalKafka.existingSecret": "watchnext-kafka",
    "externalKafka.caSecret": "watchnext-kafka-ca",
    "externalRedis.existingSecret": "watchnext-redis",
    "externalMilvus.existingSecret": "watchnext-milvus",
}


@pytest.fixture(scope="module")
def operators(cluster: Cluster) -> Iterator[None]:
    """The definitions of all operators; those that were not there go afterwards."""
    there = {one["metadata"]["name"] for one in cluster.list("customresourcedefinition")}
    wanted = [definition for group in crds.GROUPS for definition in crds.definitions(group)]
    added = [one for one in wanted if one["metadata"]["name"] not in there]
    names = [one["metadata"]["name"] for one in added]
    try:
        if added:
            cluster.kubectl("apply", "--server-side", "-f", "-", stdin=as_yaml(added))
            cluster.kubectl("wait", "--for=condition=Established", "crd", *names, "--timeout=60s")
        yield
    finally:
        cluster.kubectl("delete", "crd", "--ignore-not-found", *names)


@pytest.fixture(scope="module")
def namespaces(cluster: Cluster) -> Iterator[None]:
    """One that admits restricted pods only, with the accounts that pods name; one that admits none."""
    objects: list[Document] = [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE, "labels": RESTRICTED}},
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": QUOTA}},
        {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": of("none", QUOTA), "spec": {"hard": {"pods": "0"}}},
    ]
    objects += [{"apiVersion": "v1", "kind": "ServiceAccount", "metadata": of(name, NAMESPACE)} for name in ACCOUNTS]
    cluster.kubectl("apply", "--server-side", "-f", "-", stdin=as_yaml(objects))
    yield
    cluster.kubectl("delete", "namespace", NAMESPACE, QUOTA)


def of(name: str, namespace: str) -> dict[str, str]:
    return {"name": name, "namespace": namespace}


def try_install(values: str) -> tuple[str, ...]:
    """Helm's command that asks the cluster and installs nothing."""
    command = (str(helm()), "install", "shop", str(CHART), "--dry-run=server", "--namespace", QUOTA)
    return (*command, "--values", str(VALUES[values]))


def as_yaml(documents: Sequence[Document]) -> str:
    return yaml.dump_all(documents, Dumper=yaml.CSafeDumper)


def test_helm_tells_of_an_operator_that_is_missing(cluster: Cluster, namespaces: None) -> None:
    """First, before the definitions are there."""
    if "kafkas.kafka.strimzi.io" in cluster.kubectl("get", "customresourcedefinition", "-o", "name"):
        pytest.skip("this cluster has Strimzi")

    with pytest.raises(
        CommandError, match=r"this cluster has no kafka\.strimzi\.io/\w+ API\. Install the Strimzi operator"
    ):
        cluster.run(*try_install("own-stores"))


@pytest.mark.parametrize("values", VALUES)
def test_the_server_takes_every_object_without_a_warning(
    cluster: Cluster, operators: None, namespaces: None, values: str
) -> None:
    documents = rendered(values)
    told = cluster.kubectl(*DRY, stdin=as_yaml(documents))

    assert told.count("(server dry run)") == len(documents)


@pytest.mark.parametrize(
    ("kind", "path", "value", "refusal"),
    [
        ("Deployment", "spec.template.spec.dnsPolcy", "Default", "field not declared in schema"),
        ("Deployment", "spec.template.spec.hostNetwork", True, "would violate PodSecurity"),
        ("Pod", "spec.securityContext.runAsNonRoot", False, "violates PodSecurity"),
        ("InferenceService", "spec.predictor.modle", {}, "field not declared in schema"),
        ("KafkaNodePool", "spec.roles", ["boss"], "Unsupported value"),
    ],
)
def test_the_server_refuses_what_is_wrong(
    cluster: Cluster, operators: None, namespaces: None, kind: str, path: str, value: Any, refusal: str
) -> None:
    document = json.loads(json.dumps(of_kind(rendered("own-stores"), kind)[0]))
    *way, last = path.split(".")
    inner = document
    for key in way:
        inner = inner[key]
    inner[last] = value

    with pytest.raises(CommandError, match=refusal):
        cluster.kubectl(*DRY, stdin=as_yaml([document]))


def test_helm_finds_the_operators_that_are_there(cluster: Cluster, operators: None, namespaces: None) -> None:
    told = cluster.run(*try_install("own-stores"))

    assert [kind for kind in ("ScaledObject", "PodMonitor", "KafkaNodePool") if f"kind: {kind}\n" not in told] == []


def test_helm_tells_of_secrets_that_are_missing(cluster: Cluster, operators: None, namespaces: None) -> None:
    missing = []
    for _ in SECRETS:  # one is told at a time
        with pytest.raises(CommandError) as refusal:
            cluster.run(*try_install("values-prod"))
        (told,) = re.findall(r"(\S+) names the Secret (\S+), which is not in namespace (\S+)\.", str(refusal.value))
        missing.append(told)
        secret = {"apiVersion": "v1", "kind": "Secret", "metadata": of(told[1], QUOTA)}
        cluster.kubectl("apply", "--server-side", "-f", "-", stdin=as_yaml([secret]))

    assert sorted(missing) == [(key, name, QUOTA) for key, name in sorted(SECRETS.items())]
    assert "kind: InferenceGraph\n" in cluster.run(*try_install("values-prod"))


@pytest.mark.parametrize("values", VALUES)
def test_kserve_makes_the_pods_that_policies_and_budgets_select(
    cluster: Cluster, namespaces: None, values: str
) -> None:
    services = [in_quota(document) for document in of_kind(rendered(values), *SERVING)]
    expected = {pod.labels["app"].removeprefix("isvc."): pod for pod in pods_of(services)}
    cluster.kubectl("apply", "--server-side", "-f", "-", stdin=as_yaml(services))
    made = {name: template_of(cluster, name) for name in expected}
    called = {name: port_behind_service(cluster, name) for name in expected}
    cluster.kubectl("delete", "--wait", "-f", "-", stdin=as_yaml(services))

    labels = {name: pod["metadata"]["labels"] for name, pod in made.items()}
    assert {name: labels[name] | dict(pod.labels) for name, pod in expected.items()} == labels
    assert {name: containers(pod["spec"]) for name, pod in made.items()} == {
        name: containers(pod.spec) for name, pod in expected.items()
    }
    assert called == dict.fromkeys(expected, 8080)
    found = pod_security_violations(list(made.values()))
    reasons = {name: [one.split(" (")[0] for one in told] for name, told in zip(made, found, strict=True)}
    assert reasons == {name: [] if pod.ours else ["seccompProfile"] for name, pod in expected.items()}


def in_quota(document: Document) -> Document:
    return document | {"metadata": document["metadata"] | {"namespace": QUOTA}}


def template_of(cluster: Cluster, name: str) -> Document:
    cluster.kubectl("-n", QUOTA, "wait", "--for=create", f"deployment/{name}", "--timeout=120s")
    template: Document = json.loads(cluster.kubectl("-n", QUOTA, "get", "deployment", name, "-o", "json"))["spec"][
        "template"
    ]
    return template


def port_behind_service(cluster: Cluster, name: str) -> int:
    cluster.kubectl("-n", QUOTA, "wait", "--for=create", f"service/{name}", "--timeout=120s")
    ports = json.loads(cluster.kubectl("-n", QUOTA, "get", "service", name, "-o", "json"))["spec"]["ports"]
    port: int = next(one["targetPort"] for one in ports if one["port"] == 80)
    return port


def containers(spec: Mapping[str, Any]) -> list[tuple[str, list[int]]]:
    """Names and ports, in order; the init containers first."""
    return [
        (one["name"], [port["containerPort"] for port in one.get("ports", ())])
        for one in [*spec.get("initContainers", ()), *spec["containers"]]
    ]
