"""The chart as Helm renders it, under a release name and namespace that no template can know."""

import json
import subprocess
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any, Final

import yaml

from helm.generate import CHART, KUBERNETES, OPERATORS, values_files
from tests.chart.binaries import helm

Document = dict[str, Any]

RELEASE: Final = "shop"
NAMESPACE: Final = "videos"
PREFIX: Final = f"{RELEASE}-watchnext"
VALUES: Final = values_files()


@cache
def rendered(name: str) -> tuple[Document, ...]:
    """All objects of a values file in a cluster that has every operator; not to be changed."""
    return tuple(render(VALUES[name]))


def render(*values: Path, api_versions: Sequence[str] = OPERATORS, **changes: Any) -> list[Document]:
    """All objects of values files with `changes` on top."""
    run = template(*values, api_versions=api_versions, **changes)
    assert run.returncode == 0, run.stderr
    return [document for document in yaml.load_all(run.stdout, yaml.CSafeLoader) if document]


def template(
    *values: Path,
    api_versions: Sequence[str] = OPERATORS,
    chart: Path = CHART,
    release: str = RELEASE,
    namespace: str = NAMESPACE,
    kubernetes: str = KUBERNETES,
    **changes: Any,
) -> subprocess.CompletedProcess[str]:
    """What `helm template` says to values files with `changes` on top."""
    command = [str(helm()), "template", release, str(chart), "--namespace", namespace, "--kube-version", kubernetes]
    command += [f"--api-versions={api}" for api in api_versions]
    command += [f"--values={file}" for file in values]
    command += [f"--set-json={key}={json.dumps(value)}" for key, value in changes.items()]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def of_kind(documents: Sequence[Document], *kinds: str) -> list[Document]:
    """Those of some kinds."""
    return [document for document in documents if document["kind"] in kinds]


def named(document: Document) -> str:
    """How a test tells of an object."""
    return f"{document['kind']}/{document['metadata']['name']}"
