"""A release of the chart in a namespace, and a client pod outside of it."""

import json
import time
import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Thread
from typing import Any, Final

import yaml

from tests.cluster.cluster import Cluster, CommandError
from tests.cluster.images import REPOSITORY

ROOT: Final = Path(__file__).resolve().parents[2]
TAG: Final = "test"
NAME: Final = "watchnext"
NAMESPACE: Final = "rec"
CLIENTS: Final = "clients"
OURS: Final = f"app.kubernetes.io/instance={NAME}"
PACKAGES: Final = "/opt/watchnext/site-packages"
RESTRICTED: Final = {
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "runAsNonRoot": True,
    "seccompProfile": {"type": "RuntimeDefault"},
}


@dataclass
class Load:
    """What came of the requests that were sent while a block runs, each noted once it is answered."""

    results: list[dict[str, Any]] = field(default_factory=list)

    def read(self, lines: Iterable[str]) -> None:
        """Note what `load.py` prints, until it ends."""
        for line in lines:
            self.results.append(json.loads(line))

    def since(self, earlier: int) -> "Load":
        """Without the first `earlier` results."""
        return Load(self.results[earlier:])

    def names(self, generation: str, last: int = 20) -> bool:
        """Whether the last answers are all of one generation."""
        return [result["generation"] for result in self.results[-last:]] == [generation] * last

    @property
    def failed(self) -> list[dict[str, Any]]:
        """Requests without a list."""
        return [result for result in self.results if result["status"] != 200 or result["items"] != 5]

    @property
    def generations(self) -> list[str]:
        """Of the answers, in the order of the requests, each run of equal ones once."""
        names = [result["generation"] for result in sorted(self.results, key=lambda result: result["at"])]
        return [name for index, name in enumerate(names) if index == 0 or names[index - 1] != name]


@dataclass(frozen=True)
class Release:
    """What a test does with it."""

    cluster: Cluster

    def values(self, tag: str, **more: Any) -> Path:
        """The values of a test: our images, where the packages are, and `more`."""
        values: dict[str, Any] = {
            "image": {"repository": REPOSITORY, "tag": tag, "pullPolicy": "Never"},
            "kafka": {"image": f"{REPOSITORY}/kafka:{TAG}"},
            "valkey": {"image": f"{REPOSITORY}/valkey:{TAG}"},
            "gateway": {"replicas": 2},
            "graph": {"minReplicas": 2, "maxReplicas": 2},
            "training": {"first": {"days": 14}},
        }
        if self.cluster.shares_files:
            claim = {"claimName": "packages", "readOnly": True}
            values["state"] = {"storageClass": "test-state"}
            values["extraVolumes"] = [{"name": "packages", "persistentVolumeClaim": claim}]
            values["extraVolumeMounts"] = [{"name": "packages", "mountPath": PACKAGES, "readOnly": True}]
        path = ROOT / ".watchnext-cluster" / f"values-{tag}.yaml"
        path.parent.mkdir(exist_ok=True)
        path.write_text(yaml.safe_dump(values | more))
        return path

    def install(self, chart: Path, tag: str, verb: str = "install", **more: Any) -> str:
        """`helm install` (or `upgrade`) of a chart with values-small.yaml and `more` values; what it printed."""
        files = ("-f", str(chart / "values-small.yaml"), "-f", str(self.values(tag, **more)))
        return self.cluster.helm(verb, NAME, str(chart), "-n", NAMESPACE, *files, "--timeout", "10m")

    def wait_until_ready(self, seconds: int = 600) -> None:
        """Until each Deployment, StatefulSet and InferenceService is, with no pod of an earlier one."""

        def late() -> list[str]:
            items = self.cluster.list("deployment,statefulset,inferenceservice", "-n", NAMESPACE)
            services = [item for item in items if item["kind"] == "InferenceService"]
            sets = [item for item in items if item["kind"] != "InferenceService"]
            return [one["metadata"]["name"] for one in services if not _is_ready(one, sets)] + [
                one["metadata"]["name"] for one in sets if not _is_rolled_out(one)
            ]

        until(lambda: not late(), seconds, "all are ready")

    def wait_for_job(self, name: str, seconds: float = 600) -> None:
        """Until a Job is complete; one that failed ends the wait with its log."""

        def done() -> bool:
            status = json.loads(self.cluster.kubectl("-n", NAMESPACE, "get", "job", name, "-o", "json"))["status"]
            ended = {one["type"] for one in status.get("conditions", []) if one["status"] == "True"}
            if "Failed" in ended:
                raise CommandError(self.cluster.kubectl("-n", NAMESPACE, "logs", f"job/{name}", "--tail=20"))
            return "Complete" in ended

        until(done, seconds, f"Job {name} is complete")

    def pods(self, component: str) -> list[str]:
        """The pods of a component that are ready and not about to go."""
        selector = f"{OURS},app.kubernetes.io/component={component}"
        return [
            pod["metadata"]["name"]
            for pod in self.cluster.list("pod", "-n", NAMESPACE, "-l", selector)
            if "deletionTimestamp" not in pod["metadata"]
            and any(one["type"] == "Ready" and one["status"] == "True" for one in pod["status"].get("conditions", ()))
        ]

    def exec(self, *command: str, of: str = f"deploy/{NAME}-gateway") -> str:
        """Standard output of a command in a pod of the release."""
        return self.cluster.kubectl("-n", NAMESPACE, "exec", of, "--", *command)

    def client(self, *command: str, stdin: str = "") -> str:
        """Standard output of a command in the client pod."""
        return self.cluster.kubectl("-n", CLIENTS, "exec", "-i", "client", "--", *command, stdin=stdin)

    def python(self, script: str, *arguments: str) -> str:
        """Standard output of a Python script in the client pod."""
        return self.client("python3.11", "-", *arguments, stdin=script)

    def ask(self, service: str, path: str, **request: Any) -> dict[str, Any]:
        """The answer over REST to the client pod."""
        script = (
            "import sys, httpx\n"
            "answer = httpx.post(sys.argv[1], content=sys.argv[2], timeout=20,"
            " headers={'content-type': 'application/json'})\n"
            "assert answer.status_code == 200, answer.text\n"
            "print(answer.text)"
        )
        body = json.dumps(request)
        answer: dict[str, Any] = json.loads(self.python(script, f"http://{service}.{NAMESPACE}{path}", body))
        return answer

    def generation(self, state: str) -> str:
        """The generation that is `live` or `previous`."""
        listed = json.loads(self.exec("watchnext", "generation", "list", "--json"))
        (found,) = [row["generation"] for row in listed if row["state"] == state]
        return str(found)

    @contextmanager
    def load(self, per_second: float = 5) -> Iterator[Load]:
        """Requests to the gateway from before the block begins until it ends."""
        stop, load = f"/tmp/stop-{uuid.uuid4().hex[:8]}", Load()
        url = f"http://{NAME}-gateway.{NAMESPACE}/v1/recommendations"
        command = ("kubectl", "-n", CLIENTS, "exec", "-i", "client", "--", "python3.11", "-")
        process = self.cluster.start(*command, url, str(per_second), stop)
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdin.write(Path(__file__).with_name("load.py").read_text())
        process.stdin.close()
        reader = Thread(target=load.read, args=(process.stdout,), daemon=True)
        reader.start()
        try:
            until(lambda: load.results != [] or process.poll() is not None, 60, "a first answer")
            yield load
        finally:
            self.client("touch", stop)
            reader.join(timeout=60)
        assert process.wait(timeout=60) == 0, process.stderr.read()

    def make_client(self, tag: str) -> None:
        """The client pod, and what the release finds in its namespace."""
        volumes: list[dict[str, Any]] = [{"name": "tmp", "emptyDir": {}}]
        mounts: list[dict[str, Any]] = [{"name": "tmp", "mountPath": "/tmp"}]
        spaces = [{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": n}} for n in (NAMESPACE, CLIENTS)]
        self.cluster.apply(*spaces)
        if self.cluster.shares_files:
            site = next((ROOT / ".venv" / "lib").glob("python3.*/site-packages")).resolve()
            state = ROOT / ".watchnext-cluster" / "state"
            state.mkdir(parents=True, exist_ok=True)
            state.chmod(0o777)
            node = self.cluster.list("node")[0]["metadata"]["labels"]["kubernetes.io/hostname"]
            self.cluster.apply(
                *(
                    thing
                    for space in (NAMESPACE, CLIENTS)
                    for thing in (
                        _volume(f"packages-{space}", site, node, space, "packages", "ReadOnlyMany"),
                        _claim("packages", space, f"packages-{space}"),
                    )
                ),
                _volume("watchnext-state", state, node, NAMESPACE, f"{NAME}-state", "ReadWriteOnce"),
            )
            volumes.append({"name": "packages", "persistentVolumeClaim": {"claimName": "packages", "readOnly": True}})
            mounts.append({"name": "packages", "mountPath": PACKAGES, "readOnly": True})
        self.cluster.apply(
            {
                "apiVersion": "v1",
                "kind": "Pod",
                "metadata": {"name": "client", "namespace": CLIENTS},
                "spec": {
                    "containers": [
                        {
                            "name": "client",
                            "image": f"{REPOSITORY}/serving:{tag}",
                            "imagePullPolicy": "Never",
                            "command": ["python3.11", "-c", "import signal; signal.pause()"],
                            "env": [{"name": "WATCHNEXT_HOME", "value": "/tmp/watchnext"}],
                            "resources": {"requests": {"cpu": "50m"}, "limits": {"memory": "1Gi"}},
                            "securityContext": RESTRICTED,
                            "volumeMounts": mounts,
                        }
                    ],
                    "terminationGracePeriodSeconds": 1,
                    "volumes": volumes,
                },
            }
        )
        self.cluster.kubectl("-n", CLIENTS, "wait", "--for=condition=Ready", "pod/client", "--timeout=180s")


def _is_rolled_out(item: dict[str, Any]) -> bool:
    status = item.get("status", {})
    counts = ("replicas", "updatedReplicas", "availableReplicas")
    return status.get("observedGeneration") == item["metadata"]["generation"] and all(
        status.get(count, 0) == item["spec"]["replicas"] for count in counts
    )


def _is_ready(service: dict[str, Any], deployments: list[dict[str, Any]]) -> bool:
    """Whether KServe says so, and not still of what stood here before an upgrade: its Deployments are the service's."""
    metadata = service["metadata"]
    made = [
        one["spec"]["template"]
        for one in deployments
        if one["metadata"]["labels"].get("serving.kserve.io/inferenceservice") == metadata["name"]
    ]
    sums = {key: value for key, value in metadata["annotations"].items() if key.startswith("checksum/")}
    images = {one["image"] for template in made for one in template["spec"]["containers"]}
    wanted = {one["image"] for part in service["spec"].values() for one in part.get("containers", ())}
    return (
        any(
            one["type"] == "Ready" and one["status"] == "True"
            for one in service.get("status", {}).get("conditions", ())
        )
        and all(sums.items() <= template["metadata"]["annotations"].items() for template in made)
        and wanted <= images
    )


def until(condition: Callable[[], bool], seconds: float, what: str) -> None:
    """Return once `condition` holds."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise CommandError(f"not within {seconds:.0f} s: {what}")
        time.sleep(1)


def _volume(name: str, path: Path, node: str, space: str, claim: str, mode: str) -> dict[str, Any]:
    at = [{"key": "kubernetes.io/hostname", "operator": "In", "values": [node]}]
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": name},
        "spec": {
            "capacity": {"storage": "10Gi"},
            "accessModes": [mode],
            "persistentVolumeReclaimPolicy": "Retain",
            "storageClassName": "test-state" if mode == "ReadWriteOnce" else "test-packages",
            "local": {"path": str(path)},
            "claimRef": {"namespace": space, "name": claim},
            "nodeAffinity": {"required": {"nodeSelectorTerms": [{"matchExpressions": at}]}},
        },
    }


def _claim(name: str, space: str, volume: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": name, "namespace": space},
        "spec": {
            "accessModes": ["ReadOnlyMany"],
            "storageClassName": "test-packages",
            "volumeName": volume,
            "resources": {"requests": {"storage": "10Gi"}},
        },
    }
