"""The pods that the objects of a chart lead to, in the words of the pod itself.

Those of KServe are put together as its controller does (v0.20.0, Standard mode): labels of runtime, service and
component; the runtime's containers in a component that names a model; the router on its own. `tests/cluster` holds them
against the real controller.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from tests.chart.rendering import NAMESPACE, Document, named, of_kind

COMPONENT: Final = "app.kubernetes.io/component"
# Fields of an InferenceService's component that are not the pod's.
NOT_THE_PODS: Final = {
    *("minReplicas", "maxReplicas", "scaleTarget", "scaleMetric", "autoScaling", "deploymentStrategy"),
    *("containerConcurrency", "timeout", "canaryTrafficPercent", "logger", "batcher"),
    *("labels", "annotations", "model", "workerSpec"),
}


@dataclass(frozen=True)
class Pod:
    """One kind of pod."""

    owner: str  # kind/name of the object that makes it
    ours: bool  # False: its specification is KServe's
    labels: Mapping[str, str]
    spec: Mapping[str, Any]

    @property
    def component(self) -> str:
        """Its part in the stack."""
        return self.labels[COMPONENT]

    @property
    def containers(self) -> list[dict[str, Any]]:
        """All of them, those that run first included."""
        return [*self.spec.get("initContainers", ()), *self.spec["containers"]]

    @property
    def ports(self) -> dict[str, int]:
        """Its declared ports by name."""
        return {port["name"]: port["containerPort"] for one in self.containers for port in one.get("ports", ())}


def pods_of(documents: Sequence[Document]) -> list[Pod]:
    """Every pod that the objects lead to."""
    return [pod for document in documents for pod in _pods(document, documents)]


def _pods(document: Document, documents: Sequence[Document]) -> Iterator[Pod]:
    spec = document.get("spec", {})
    match document["kind"]:
        case "Pod":
            yield _plain(document, document)
        case "Deployment" | "StatefulSet" | "Job":
            yield _plain(document, spec["template"])
        case "TrainingRuntime":
            for job in spec["template"]["spec"]["replicatedJobs"]:
                yield _plain(document, job["template"]["spec"]["template"])
        case "CronJob":
            yield _plain(document, spec["jobTemplate"]["spec"]["template"])
        case "InferenceService":
            for component in sorted({"predictor", "transformer"} & spec.keys()):
                yield _of_component(document, component, spec[component], documents)
        case "InferenceGraph":
            name = document["metadata"]["name"]
            labels = {"serving.kserve.io/inferencegraph": name, "app": f"isvc.{name}"}
            router = {"containers": [{"name": name}]}  # it declares no port, and listens on 8080
            yield Pod(named(document), False, document["metadata"]["labels"] | labels, router)


def _plain(owner: Document, template: Mapping[str, Any]) -> Pod:
    return Pod(named(owner), True, template["metadata"].get("labels", {}), template["spec"])


def _of_component(service: Document, name: str, given: Document, documents: Sequence[Document]) -> Pod:
    full_name = f"{service['metadata']['name']}-{name}"
    labels = service["metadata"]["labels"] | given.get("labels", {})
    spec = {key: value for key, value in given.items() if key not in NOT_THE_PODS}
    if "model" in given:
        runtimes = of_kind(documents, "ServingRuntime")
        (runtime,) = (one for one in runtimes if one["metadata"]["name"] == given["model"]["runtime"])
        beside = {key: runtime["spec"].get(key, []) + spec.get(key, []) for key in ("containers", "volumes")}
        spec = {key: value for key, value in runtime["spec"].items() if key != "supportedModelFormats"} | spec | beside
    added = {
        "app": f"isvc.{full_name}",
        "component": name,
        "serving.kserve.io/inferenceservice": service["metadata"]["name"],
    }
    return Pod(f"{named(service)}.{name}", True, labels | added, spec)


def workloads_of(documents: Sequence[Document]) -> list[Document]:
    """The Deployments that KServe makes of the objects, as far as a linter reads them."""
    services = of_kind(documents, "InferenceService", "InferenceGraph")
    return [
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": pod.labels["app"], "namespace": NAMESPACE, "labels": dict(pod.labels)},
            "spec": {
                "replicas": 2,
                "selector": {"matchLabels": {"app": pod.labels["app"]}},
                "template": {"metadata": {"labels": dict(pod.labels)}, "spec": pod.spec},
            },
        }
        for service in services
        for pod in _pods(service, documents)
        if pod.ours
    ]
