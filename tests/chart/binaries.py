"""Programs that judge a rendered chart, each built once from the Go module of its name in `tools/`."""

import json
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from helm.generate import find_helm
from watchnext.errors import PrerequisiteError
from watchnext.local.cache import go_program
from watchnext.local.downloads import build_go

TOOLS: Final = Path(__file__).parent / "tools"
PACKAGES: Final = {
    "helm": "helm.sh/helm/v3/cmd/helm",
    "kubeconform": "github.com/yannh/kubeconform/cmd/kubeconform",
    "kube-score": "github.com/zegl/kube-score/cmd/kube-score",
    "promql": ".",
    "psa": ".",
}


def helm() -> Path:
    """Helm of this machine, else one that is built here."""
    try:
        return find_helm()
    except PrerequisiteError:
        return program("helm")


def program(name: str) -> Path:
    """A program of `PACKAGES`, built where it is not there yet (psa: two minutes on two cores, the others less)."""
    binary = go_program(name, TOOLS / name)
    build_go(PACKAGES[name], TOOLS / name, binary)
    return binary


def pod_security_violations(pods: Sequence[dict[str, Any]]) -> list[list[str]]:
    """What each pod violates of the level "restricted", by the evaluator that API servers run."""
    listed = json.dumps([{"metadata": pod.get("metadata", {}), "spec": pod["spec"]} for pod in pods])
    run = subprocess.run([program("psa")], input=listed, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    return [[f"{one['reason']} ({one['detail']})" for one in violations] for violations in json.loads(run.stdout)]
