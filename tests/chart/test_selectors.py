"""Whatever names a pod, a port, a workload, a host or a claim names one that is there."""

import re
from typing import Any, Final

from tests.chart.edges import matches
from tests.chart.pods import Pod, pods_of
from tests.chart.rendering import NAMESPACE, VALUES, Document, named, of_kind, render, rendered, template

Documents = tuple[Document, ...]
HTTP: Final = 8080  # on which KServe's servers and its router listen


def test_every_selector_selects_pods_of_one_component(values: str) -> None:
    documents = rendered(values)
    pods = pods_of(documents)
    wrong = {}
    for document, selector in selectors(documents):
        found = {pod.component for pod in pods if matches(selector, pod.labels)}
        everything = document["metadata"]["name"].endswith("-deny-all")
        if found != ({pod.component for pod in pods} if everything else {component_of(document)}):
            wrong[named(document)] = found

    assert wrong == {}


def selectors(documents: Documents) -> list[tuple[Document, dict[str, Any]]]:
    """Objects that select pods, each with its selector."""
    found = [(one, {"matchLabels": one["spec"]["selector"]}) for one in of_kind(documents, "Service")]
    for kind in ("PodDisruptionBudget", "PodMonitor", "Deployment", "StatefulSet"):
        found += [(one, one["spec"]["selector"]) for one in of_kind(documents, kind)]
    found += [(one, one["spec"]["podSelector"]) for one in of_kind(documents, "NetworkPolicy")]
    return found


def component_of(document: Document) -> str:
    component: str = document["metadata"]["labels"]["app.kubernetes.io/component"]
    return component


def test_workloads_own_the_pods_that_they_make_and_no_others(values: str) -> None:
    documents = rendered(values)
    pods = pods_of(documents)
    owners = {
        named(one): [pod.owner for pod in pods if matches(one["spec"]["selector"], pod.labels)]
        for one in of_kind(documents, "Deployment", "StatefulSet")
    }

    assert owners == {owner: [owner] for owner in owners}


def test_the_ports_of_services_are_ports_of_their_pods(values: str) -> None:
    documents = rendered(values)
    pods = pods_of(documents)
    wrong = [
        f"{named(service)}: {port}"
        for service in of_kind(documents, "Service")
        for pod in pods
        if matches({"matchLabels": service["spec"]["selector"]}, pod.labels)
        for port in service["spec"]["ports"]
        if port["targetPort"] not in {*pod.ports, *pod.ports.values()}
    ]

    assert wrong == []


def test_probes_ask_at_ports_of_their_pod(values: str) -> None:
    wrong = [
        f"{pod.owner}/{container['name']}/{name}: {port}"
        for pod in pods_of(rendered(values))
        for container in pod.containers
        for name, port in probed(container)
        if port not in {*pod.ports, *pod.ports.values()}
    ]

    assert wrong == []


def probed(container: Document) -> list[tuple[str, int | str]]:
    probes = {name: container.get(name, {}) for name in ("startupProbe", "livenessProbe", "readinessProbe")}
    return [
        (name, probe[way]["port"]) for name, probe in probes.items() for way in ("httpGet", "tcpSocket") if way in probe
    ]


def test_metrics_are_asked_at_ports_of_the_pods(values: str) -> None:
    documents = rendered(values)
    hidden = {("ranker", 8087)}  # TorchServe's own, of the process that declares 8080
    wrong = {
        (component_of(monitor), endpoint["portNumber"])
        for monitor in of_kind(documents, "PodMonitor")
        for pod in pods_of(documents)
        if matches(monitor["spec"]["selector"], pod.labels)
        for endpoint in monitor["spec"]["podMetricsEndpoints"]
        if endpoint["portNumber"] not in pod.ports.values()
    }

    assert wrong <= hidden


def test_scalers_scale_workloads_that_are_there_and_set_no_replicas(values: str) -> None:
    documents = rendered(values)
    replicas = {one["metadata"]["name"]: one["spec"].get("replicas") for one in of_kind(documents, "Deployment")}
    scalers = of_kind(documents, "HorizontalPodAutoscaler", "ScaledObject")
    targets = [scaler["spec"]["scaleTargetRef"]["name"] for scaler in scalers]

    assert [replicas.get(target, "no such Deployment") for target in targets] == [None] * len(targets)
    assert len(set(targets)) == len(targets)


def test_pods_mount_what_the_chart_makes_or_its_user_brings(values: str) -> None:
    documents = rendered(values)
    made = {
        "configMap": {one["metadata"]["name"] for one in of_kind(documents, "ConfigMap")},
        "persistentVolumeClaim": {one["metadata"]["name"] for one in of_kind(documents, "PersistentVolumeClaim")},
    }
    brought = {"shared-state", "packages"}  # ci/all-options.yaml
    wrong = [
        f"{pod.owner}: {name}"
        for pod in pods_of(documents)
        for volume in pod.spec.get("volumes", ())
        for kind, name in mounted(volume)
        if name not in made[kind] | brought
    ]

    assert wrong == []


def mounted(volume: Document) -> list[tuple[str, str]]:
    if "configMap" in volume:
        return [("configMap", volume["configMap"]["name"])]
    if "persistentVolumeClaim" in volume:
        return [("persistentVolumeClaim", volume["persistentVolumeClaim"]["claimName"])]
    return []


def test_service_accounts_are_there(values: str) -> None:
    documents = rendered(values)
    made = {one["metadata"]["name"] for one in of_kind(documents, "ServiceAccount")} | {"recommender"}  # all-options
    named_accounts = {pod.spec.get("serviceAccountName") for pod in pods_of(documents) if pod.ours}

    assert named_accounts <= made


def test_hosts_that_are_named_are_services_that_answer_there(values: str) -> None:
    documents = rendered(values)
    wrong = {
        f"{named(document)}: {host}:{port}"
        for document in documents
        for host, namespace, port in hosts(document)
        if namespace == NAMESPACE and (port or "any") not in services(documents).get(host, ())
    }

    assert wrong == set()


def hosts(node: Any) -> list[tuple[str, str, str]]:
    """Each SCHEME://HOST.NAMESPACE.svc:PORT in the strings of an object; a scheme without a port means 80."""
    if isinstance(node, dict):
        return [found for child in node.values() for found in hosts(child)]
    if isinstance(node, list):
        return [found for child in node for found in hosts(child)]
    found = re.findall(r"(http://)?\b([a-z0-9-]+)\.([a-z0-9-]+)\.svc(?::(\d+))?", node) if isinstance(node, str) else []
    return [(host, namespace, port or ("80" if scheme else "")) for scheme, host, namespace, port in found]


def services(documents: Documents) -> dict[str, set[str]]:
    """Ports of each Service that the chart, KServe or Strimzi makes of the objects."""
    found = {
        one["metadata"]["name"]: {port["port"] for port in one["spec"]["ports"]}
        for one in of_kind(documents, "Service")
    }
    for service in of_kind(documents, "InferenceService"):
        for component in {"predictor", "transformer"} & service["spec"].keys():
            found[f"{service['metadata']['name']}-{component}"] = {80}
    for graph in of_kind(documents, "InferenceGraph"):
        found[graph["metadata"]["name"]] = {80}
    for kafka in of_kind(documents, "Kafka"):
        listeners = {listener["port"] for listener in kafka["spec"]["kafka"]["listeners"]}
        found[f"{kafka['metadata']['name']}-kafka-bootstrap"] = listeners
    return {name: {"any", *map(str, ports)} for name, ports in found.items()}


def test_servers_behind_kserve_listen_where_its_services_send(values: str) -> None:
    first_ports = {
        pod.owner: pod.spec["containers"][0]["ports"][0]["containerPort"]  # to which KServe's Service sends
        for pod in pods_of(rendered(values))
        if pod.owner.startswith("InferenceService/")
    }

    assert first_ports == dict.fromkeys(first_ports, HTTP)
    assert len(first_ports) == 3


def test_constraints_spread_the_pods_that_they_are_written_on(values: str) -> None:
    wrong = [f"{pod.owner}: {selector}" for pod in pods_of(rendered(values)) for selector in strange(pod)]

    assert wrong == []


def strange(pod: Pod) -> list[dict[str, Any]]:
    constraints = pod.spec.get("topologySpreadConstraints", ())
    return [one["labelSelector"] for one in constraints if not matches(one["labelSelector"], pod.labels)]


LONGEST: Final = {"CronJob": 52, "Job": 63, "Service": 63, "StatefulSet": 52}  # of a name, by the API; labels: 63


def test_the_longest_names_are_not_longer_than_the_api_takes() -> None:
    longest = {"fullnameOverride": "a" * 90, "training.first.enabled": True}
    (most,) = re.findall(r"maxLength: got 90, want (\d+)", template(**longest).stderr)
    documents = render(VALUES["own-stores"], **longest | {"fullnameOverride": "a" * int(most)})
    names = [(one, len(one["metadata"]["name"])) for one in of_kind(documents, *LONGEST)]
    labels = {(key, len(value)) for pod in pods_of(documents) for key, value in pod.labels.items()}

    assert [(named(one), length) for one, length in names if length > LONGEST[one["kind"]]] == []
    assert {(key, length) for key, length in labels if length > 63} == set()


def test_a_long_name_of_a_release_is_cut_to_the_longest_that_may_be_given() -> None:
    written = render(nameOverride="a" * 37)
    (cut,) = {one["metadata"]["name"].removesuffix("-gateway") for one in of_kind(written, "Deployment")[:1]}

    assert len(cut) == 37
