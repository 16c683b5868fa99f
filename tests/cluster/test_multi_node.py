"""A training on two nodes by the real Kubeflow Trainer, from a step's pod with the chart's Role to the model."""

import json
import re
from collections.abc import Iterator
from typing import Any, Final

import pytest
import yaml

from tests.cluster import trainer
from tests.cluster.cluster import Cluster
from tests.cluster.conftest import CHART
from tests.cluster.images import REPOSITORY
from tests.cluster.release import NAME, NAMESPACE, TAG, Release, until

ACCOUNT: Final = "steps"
VALUES: Final = {
    "engine": "kubeflow",
    "nodes": 2,
    "first": {"enabled": False},
    "kubeflow": {"host": "http://no-pipelines", "serviceAccount": ACCOUNT},
}
STEP: Final = f"""
import json, sys
from pathlib import Path
from watchnext.settings import load_settings
from watchnext.training.main import Model
from watchnext.training.train_job import Nodes, train_on_nodes
settings = load_settings()
(encoded,) = settings.home.glob("pipelines/*/examples/encoded")
torn, trained = Path("/tmp/torn"), Path("/tmp/trained")
torn.mkdir()
(torn / "meta.json").write_text((encoded / "meta.json").read_text() + "\\n")  # of other examples: a job of its own
nodes = Nodes(count=2, runtime="{NAME}-train", image="{REPOSITORY}/pipelines:{TAG}")
train_on_nodes(settings, Model.TOWERS, encoded if sys.argv[1] == "whole" else torn, trained, nodes)
alone = encoded.parents[1] / "train-towers" / "towers"
print(json.dumps([json.loads((folder / "curve.json").read_text()) for folder in (alone, trained)]))
"""


@pytest.fixture(scope="module")
def kubeflow(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Trainer and JobSet; a cluster that has them keeps its own."""
    if "trainjobs.trainer.kubeflow.org" not in cluster.kubectl("get", "customresourcedefinition", "-o", "name"):
        trainer.install(cluster, tmp_path_factory.mktemp("trainer"))


@pytest.fixture(scope="module")
def runtime(kubeflow: None, release: Release, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """What the chart makes for several nodes, beside the release; gone afterwards."""
    several = tmp_path_factory.mktemp("values") / "several.yaml"
    several.write_text(yaml.safe_dump({"training": VALUES}))
    files = [str(CHART / "values-small.yaml"), str(release.values(TAG)), str(several)]
    options = [f"--values={file}" for file in files]
    template = ("template", NAME, str(CHART), "-n", NAMESPACE, "--show-only", "templates/trainer.yaml")
    objects = list(yaml.safe_load_all(release.cluster.helm(*template, *options)))
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": ACCOUNT, "namespace": NAMESPACE}}
    release.cluster.apply(*objects, account)
    yield next(thing for thing in objects if thing["kind"] == "TrainingRuntime")
    release.cluster.kubectl("delete", "-f", "-", stdin=yaml.safe_dump_all([*objects, account]))


@pytest.fixture(scope="module")
def steps(release: Release, runtime: dict[str, Any]) -> Iterator[None]:
    """A step's pod that trains on `whole` examples, beside one that trains on `torn` ones: mostly they wait."""
    (job,) = runtime["spec"]["template"]["spec"]["replicatedJobs"]
    pods = [step(job["template"]["spec"]["template"]["spec"], examples) for examples in ("whole", "torn")]
    release.cluster.apply(*pods)
    yield
    release.cluster.kubectl("-n", NAMESPACE, "delete", "pod", *(pod["metadata"]["name"] for pod in pods))


def step(node: dict[str, Any], examples: str) -> dict[str, Any]:
    """The pod of a step, of the image and volumes of a `node`."""
    spec = json.loads(json.dumps(node))
    spec |= {"serviceAccountName": ACCOUNT, "automountServiceAccountToken": True}
    spec["containers"][0] |= {"command": ["python3.11", "-c", STEP, examples]}
    metadata = {"name": f"step-{examples}", "namespace": NAMESPACE}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}


def end_of(release: Release, examples: str) -> tuple[str, str, str]:
    """How the step on `whole` or `torn` examples ended, what it printed, and the name of its TrainJob in there."""
    name = f"step-{examples}"

    def phase() -> str:
        return release.cluster.kubectl("-n", NAMESPACE, "get", "pod", name, "-o", "jsonpath={.status.phase}")

    until(lambda: phase() in ("Succeeded", "Failed"), 300, f"{name} has ended")
    ended, log = phase(), release.cluster.kubectl("-n", NAMESPACE, "logs", name)
    job = re.search(r"\btowers-[0-9a-f]{12}\b", log)
    assert job is not None, log
    return ended, log, job[0]


def test_two_nodes_make_the_steps_of_the_one_of_the_first_generation(release: Release, steps: None) -> None:
    ended, log, job = end_of(release, "whole")

    assert ended == "Succeeded", log
    assert "towers_epoch" in log  # of the first node
    alone, trained = json.loads(log.splitlines()[-1])
    assert [step for step, _ in trained] == [step for step, _ in alone]
    # dropout is drawn on each node for itself
    assert [loss for _, loss in trained] == pytest.approx([loss for _, loss in alone], rel=0.1)
    events = release.cluster.list("event", "-n", NAMESPACE, "--field-selector=involvedObject.kind=Pod")
    pods = {event["involvedObject"]["name"] for event in events}
    assert {pod.split("-")[-2] for pod in pods if pod.startswith(f"{job}-")} == {"0", "1"}
    assert job not in [one["metadata"]["name"] for one in release.cluster.list("trainjob", "-n", NAMESPACE)]


def test_a_training_that_fails_ends_the_step_with_what_its_node_said(release: Release, steps: None) -> None:
    ended, log, job = end_of(release, "torn")

    assert ended == "Failed"
    assert f"TrainingError: TrainJob {job} failed" in log
    assert f"No such file or directory: '/var/lib/watchnext/train-jobs/{job}" in log
    release.cluster.kubectl("-n", NAMESPACE, "delete", "trainjob", job)  # it is there for whoever looks
