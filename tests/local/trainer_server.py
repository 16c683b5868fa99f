"""As much of a Kubernetes API as a TrainJob needs, on this machine: what is made runs at once, by `torchrun`.

The cluster's tests have the real ones, Kubeflow Trainer and JobSet.
"""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

NAMESPACE = "rec"
API = f"/apis/trainer.kubeflow.org/v1alpha1/namespaces/{NAMESPACE}"
PODS = f"/api/v1/namespaces/{NAMESPACE}/pods"
MADE = "2026-01-01T00:00:00Z"


@dataclass
class TrainerServer:
    """Keeps TrainJobs, each with the process that it is."""

    home: Path
    refused: bool = False  # answers as where a Role is missing
    made: list[dict[str, Any]] = field(default_factory=list)  # all that were ever
    jobs: dict[str, dict[str, Any]] = field(default_factory=dict)
    _processes: dict[str, subprocess.Popen[str]] = field(default_factory=dict)

    def start(self, job: dict[str, Any]) -> None:
        """Run a job's command as two processes of this machine instead of two pods."""
        name, trainer = job["metadata"]["name"], job["spec"]["trainer"]
        job["metadata"] |= {"namespace": NAMESPACE, "creationTimestamp": MADE}
        self.made.append(job)
        self.jobs[name] = job
        of_nodes = {"PET_NNODES": "1", "PET_NPROC_PER_NODE": str(trainer["numNodes"]), "PET_STANDALONE": "1"}
        of_job = {one["name"]: one["value"] for one in trainer["env"]}
        environment = {**os.environ, **of_nodes, **of_job, "WATCHNEXT_HOME": str(self.home)}
        log = (self.home / f"{name}.log").open("w")
        command = [sys.executable, *trainer["command"][1:]]
        self._processes[name] = subprocess.Popen(
            command, env=environment, stdout=log, stderr=subprocess.STDOUT, text=True
        )

    def job(self, name: str) -> dict[str, Any] | None:
        """A job as it is now."""
        job = self.jobs.get(name)
        if job is None:
            return None
        ended = self._processes[name].poll()
        conditions = []
        if ended is not None:
            told = {"type": "Failed", "message": "jobset failed due to one or more job failures"}
            told = {"type": "Complete", "message": "jobset completed successfully"} if ended == 0 else told
            conditions = [{**told, "status": "True", "reason": "X", "lastTransitionTime": MADE}]
        counts = dict.fromkeys(("succeeded", "failed", "active", "suspended"), 0)
        return {**job, "status": {"conditions": conditions, "jobsStatus": [{"name": "node", "ready": 1, **counts}]}}

    def pods(self, name: str) -> list[dict[str, Any]]:
        """Its first node's."""
        ended = self._processes[name].poll()
        phase = {None: "Running", 0: "Succeeded"}.get(ended, "Failed")
        state = {} if ended is None else {"terminated": {"exitCode": ended, "finishedAt": MADE}}
        container = {"name": "node", "image": "i", "imageID": "i", "ready": True, "restartCount": 0, "state": state}
        labels = {
            "jobset.sigs.k8s.io/jobset-name": name,
            "jobset.sigs.k8s.io/replicatedjob-name": "node",
            "batch.kubernetes.io/job-completion-index": "0",
        }
        return [
            {
                "metadata": {"name": f"{name}-node-0-0", "labels": labels, "creationTimestamp": MADE},
                "spec": {"containers": [{"name": "node", "image": "i"}]},
                "status": {"phase": phase, "containerStatuses": [container]},
            }
        ]

    def log(self, pod: str) -> str:
        """All that a pod says to its end."""
        name = pod.removesuffix("-node-0-0")
        self._processes[name].wait()
        return (self.home / f"{name}.log").read_text()

    def close(self) -> None:
        """End what runs."""
        for process in self._processes.values():
            process.kill()
            process.wait()


@contextmanager
def serving(server: TrainerServer, kubeconfig: Path) -> Iterator[None]:
    """`server` on a port of its own, which `kubeconfig` then names."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            url = urlparse(self.path)
            folder, _, name = url.path.rpartition("/")
            if folder == f"{API}/trainjobs":
                self._answer(server.job(name))
            elif url.path == PODS:
                selected = next(iter(server.jobs))
                self._answer({"kind": "PodList", "apiVersion": "v1", "items": server.pods(selected)})
            elif name == "log":
                self._answer(server.log(folder.rpartition("/")[2]))
            else:
                self._answer(None)

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            if server.refused:
                self._answer({"kind": "Status", "message": "trainjobs.trainer.kubeflow.org is forbidden"}, 403)
            else:
                server.start(body)
                self._answer(body, 201)

        def do_DELETE(self) -> None:
            self._answer(server.jobs.pop(self.path.partition("?")[0].rpartition("/")[2]))

        def _answer(self, value: object, status: int = 200) -> None:
            text = value if isinstance(value, str) else json.dumps(value or {"kind": "Status", "code": 404})
            self.send_response(404 if value is None else status)
            self.send_header("content-type", "text/plain" if isinstance(value, str) else "application/json")
            self.send_header("content-length", str(len(text.encode())))
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, *_: object) -> None:
            """Quiet."""

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=http.serve_forever, daemon=True)
    thread.start()
    named = {"name": "here"}
    context = {"cluster": "here", "user": "here", "namespace": NAMESPACE}
    kubeconfig.write_text(
        json.dumps(
            {
                "current-context": "here",
                "contexts": [named | {"context": context}],
                "clusters": [named | {"cluster": {"server": f"http://127.0.0.1:{http.server_port}"}}],
                "users": [named | {"user": {}}],
            }
        )
    )
    try:
        yield
    finally:
        http.shutdown()
        http.server_close()
        thread.join()
        server.close()
