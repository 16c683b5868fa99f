"""A release of the chart in a namespace, and a client pod outside of it."""

import json
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import yaml

from tests.cluster.cluster import Cluster, CommandError
from tests.cluster.images import REPOSITORY

ROOT: Final = Path(__file__).resolve().parents[2]
TAG: Final = "test"
NAME: Final = "watchnext"
NAMESPACE: Final = "rec"
CLIENTS: Final = "clients"
PACKAGES: Final = "/opt/watchnext/site-packages"
RESTRICTED: Final = {
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "runAsNonRoot": True,
    "seccompProfile": {"type": "RuntimeDefault"},
}


@dataclass
class Load:
    """What came of the requests that were sent while a block ran."""

    results: list[dict[str, Any]] = field(default_factory=list)

    @property
    def failed(self) -> list[dict[str, Any]]:
        """Requests without a list."""
        return [result for result in self.results if result["status"] != 200 or result["items"] != 5]

    @property
    def generations(self) -> list[str]:
        """Of the answers, in the order of the requests, each run of equal ones once."""
        names = [result["generation"] for result in sorted(self.results, key=lambda result: result["at"])]
        return [name for index, name in enumerate(names) if index == 0 or names[index - 1] != name]

    @property
    def degraded(self) -> set[str]:
        """All that answers had to do without."""
        return {part for result in self.results for part in result["degraded"]}


@dataclass(frozen=True)
class Release:
    """What a test does with it."""

    cluster: Cluster

    def values(self, tag: str) -> Path:
        """The values of a test: our images, and where the packages are."""
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
        path.write_text(yaml.safe_dump(values))
        return path

    def install(self, chart: Path, tag: str, verb: str = "install") -> str:
        """`helm install` (or `upgrade`) of a chart with values-small.yaml; what it printed."""
        files = ("-f", str(chart / "values-small.yaml"), "-f", str(self.values(tag)))
        return self.cluster.helm(verb, NAME, str(chart), "-n", NAMESPACE, *files, "--timeout", "10m")

    def wait_until_ready(self, seconds: int = 600) -> None:
        """Until each Deployment, StatefulSet and InferenceService is."""
        timeout = f"--timeout={seconds}s"
        for kind in ("statefulset", "deployment"):
            for item in self.cluster.list(kind, "-n", NAMESPACE):
                self.cluster.kubectl(
                    "-n", NAMESPACE, "rollout", "status", f"{kind}/{item['metadata']['name']}", timeout, timeout=seconds
                )
        self.cluster.kubectl(
            "-n", NAMESPACE, "wait", "--for=condition=Ready", "inferenceservice", "--all", timeout, timeout=seconds
        )

    def wait_for_job(self, name: str, seconds: float = 600) -> None:
        """Until a Job is complete; one that failed ends the wait with its log."""

        def done() -> bool:
            status = json.loads(self.cluster.kubectl("-n", NAMESPACE, "get", "job", name, "-o", "json"))["status"]
            ended = {one["type"] for one in status.get("conditions", []) if one["status"] == "True"}
            if "Failed" in ended:
                raise CommandError(self.cluster.kubectl("-n", NAMESPACE, "logs", f"job/{name}", "--tail=20"))
            return "Complete" in ended

        until(done, seconds, f"Job {name} is complete")

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

    def live(self) -> str:
        """The live generation."""
        listed = json.loads(self.exec("watchnext", "generation", "list", "--json"))
        (live,) = [row["generation"] for row in listed if row["state"] == "live"]
        return str(live)

    @contextmanager
    def load(self, per_second: float = 5) -> Iterator[Load]:
        """Requests to the gateway while the block runs."""
        stop, load = f"/tmp/stop-{uuid.uuid4().hex[:8]}", Load()
        url = f"http://{NAME}-gateway.{NAMESPACE}/v1/recommendations"
        command = (
            "kubectl",
            "-n",
            CLIENTS,
            "exec",
            "-i",
            "client",
            "--",
            "python3.11",
            "-",
            url,
            str(per_second),
            stop,
        )
        process = self.cluster.start(*command)
        assert process.stdin is not None
        process.stdin.write(Path(__file__).with_name("load.py").read_text())
        process.stdin.close()
        process.stdin = None
        try:
            yield load
        finally:
            self.client("python3.11", "-c", f"open({stop!r}, 'w')")
            printed, said = process.communicate(timeout=60)
        assert process.returncode == 0, said
        load.results = json.loads(printed)

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
