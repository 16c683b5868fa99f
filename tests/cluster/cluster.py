"""A Kubernetes cluster to test on: any (`KUBECONFIG` and a command that loads an image), or the kit in the shared data.

`WATCHNEXT_CLUSTER_LOAD` is that command; the path of an image archive goes behind it: `kind load image-archive`,
`k3d image import`.
"""

import json
import os
import shlex
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from watchnext.errors import PrerequisiteError
from watchnext.local.cache import router_binary
from watchnext.settings import load_settings

LOAD: Final = "WATCHNEXT_CLUSTER_LOAD"


class CommandError(AssertionError):
    """A command failed; the message is what it said."""


@dataclass(frozen=True)
class Cluster:
    """How commands reach the cluster."""

    prefix: tuple[str, ...]  # before kubectl and helm
    load: tuple[str, ...]  # before the path of an image archive
    shares_files: bool  # its nodes see this machine's files

    def run(self, *command: str, stdin: str = "", timeout: float = 600) -> str:
        """Standard output of a command.

        Raises:
            CommandError: it failed.
        """
        done = subprocess.run(
            [*self.prefix, *command], input=stdin, capture_output=True, text=True, timeout=timeout, check=False
        )
        if done.returncode:
            raise CommandError(f"{shlex.join(command)[:500]}: exit {done.returncode}\n{done.stdout}{done.stderr}")
        return done.stdout

    def start(self, *command: str) -> "subprocess.Popen[str]":
        """A command that goes on beside the test, standard output and error piped."""
        return subprocess.Popen(
            [*self.prefix, *command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def kubectl(self, *arguments: str, stdin: str = "", timeout: float = 600) -> str:
        """`kubectl`'s standard output."""
        return self.run("kubectl", *arguments, stdin=stdin, timeout=timeout)

    def helm(self, *arguments: str, timeout: float = 900) -> str:
        """`helm`'s standard output."""
        return self.run("helm", *arguments, timeout=timeout)

    def apply(self, *objects: dict[str, Any]) -> None:
        """Create or change objects."""
        self.kubectl("apply", "-f", "-", stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": objects}))

    def list(self, kind: str, *arguments: str) -> list[dict[str, Any]]:
        """Objects of a kind."""
        items: list[dict[str, Any]] = json.loads(self.kubectl("get", kind, "-o", "json", *arguments))["items"]
        return items

    def load_image(self, archive: Path) -> None:
        """Make an image known to the nodes."""
        subprocess.run([*self.load, str(archive)], check=True, stdout=subprocess.DEVNULL, timeout=600)


def connect() -> Cluster:
    """The cluster to test on; the kit's is up after `start`.

    Raises:
        PrerequisiteError: there is neither.
    """
    load = os.environ.get(LOAD)
    if os.environ.get("KUBECONFIG"):
        if not load:
            raise PrerequisiteError(
                f"KUBECONFIG names a cluster, and {LOAD} is not set: set it to the command that loads an image archive "
                "into it, such as `kind load image-archive`"
            )
        return Cluster((), tuple(shlex.split(load)), shares_files=False)
    kit = _kit()
    if not kit.is_file():
        raise PrerequisiteError(
            f"no cluster: KUBECONFIG is not set and {kit} is not there. Set KUBECONFIG to a cluster with KServe 0.20 "
            f"and {LOAD} to the command that loads an image archive into it"
        )
    home = _home()
    containerd = ("ctr", "-a", str(home / "run" / "containerd.sock"), "-n", "k8s.io", "images", "import")
    return Cluster((str(kit), "in"), (str(kit), "in", *containerd), shares_files=True)


def start(cluster: Cluster) -> Cluster:
    """The cluster, up: the kit's is started where it is not, one of KUBECONFIG is up already."""
    if cluster.prefix:
        build_kit()
        for verb in (("up", "2"), ("kserve",)):
            subprocess.run([str(_kit()), *verb], check=True, timeout=600)
    return cluster


def build_kit() -> None:
    """Build the kit's Kubernetes (ten minutes on two cores, once), where a test would use it and it is there."""
    kit = _kit()
    if os.environ.get("KUBECONFIG") or not kit.is_file():
        return
    router = _home() / "bin" / "router"
    if not router.exists():  # the same program as for local runs: built once
        router.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(router_binary(), router)
    subprocess.run([str(kit), "build", "2"], check=True)


def _kit() -> Path:
    return load_settings().shared.absolute() / "cluster" / "cluster"


def _home() -> Path:
    return Path(os.environ.get("CLUSTER_HOME") or Path.home() / ".cache" / "cluster-kit")
