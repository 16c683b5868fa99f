"""Custom resource definitions of all operators that the chart has objects for, from the operators' own releases.

Those of Go modules lie in the module's zip; Strimzi's are written by its own generator from its Java model. Both are
checked against the sums that stand here or in Maven's repository, and kept as JSON in the cache.
"""

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from tests.chart.binaries import TOOLS
from watchnext.local.cache import keep, place_of, scratch
from watchnext.local.prerequisites import GO, JAVA, MAVEN, require

Document = dict[str, Any]


@dataclass(frozen=True)
class GoModule:
    """Files of a Go module, by patterns inside its zip."""

    path: str
    version: str
    sum: str
    files: tuple[str, ...]


KUBERNETES: Final = GoModule(
    "k8s.io/kubernetes",
    "v1.34.4",
    "h1:Yy6R4QB8C9kJPp25GFqEvX5XQwY5qzKeqD0Xx6oAcmk=",
    ("api/openapi-spec/swagger.json",),
)
MODULES: Final = {
    "kserve": GoModule(
        "github.com/kserve/kserve",
        "v0.20.0",
        "h1:Bs7HxmGV4KFqqptDcWseKv+mwD4YOYHJWcuVgPG2Gug=",
        ("config/crd/full/serving.kserve.io_*.yaml",),
    ),
    "keda": GoModule(
        "github.com/kedacore/keda/v2",
        "v2.21.0",
        "h1:R6z2HZvstK4RLUMxroNACzBj74xGxt3kG59b5Xc+Xps=",
        ("config/crd/bases/keda.sh_*.yaml",),
    ),
    "prometheus": GoModule(
        "github.com/prometheus-operator/prometheus-operator",
        "v0.85.0",
        "h1:M5xLCLEoaW2IJfnuCwFzzpL+jSVQu3KGT84Pye+fW8s=",
        tuple(
            f"example/prometheus-operator-crd/monitoring.coreos.com_{kind}.yaml"
            for kind in ("podmonitors", "servicemonitors", "prometheusrules")
        ),
    ),
    "trainer": GoModule(
        "github.com/kubeflow/trainer/v2",
        "v2.2.0",
        "h1:whChZckEtycLo1UKH/M0hiNaCUozbLvf9JrgmMv+TAg=",
        ("manifests/base/crds/trainer.kubeflow.org_*.yaml",),
    ),
}
STRIMZI_POM: Final = TOOLS / "strimzi" / "pom.xml"
STRIMZI_MODEL: Final = "io.strimzi.api.kafka.model"
STRIMZI_KINDS: Final = ("kafka.Kafka", "nodepool.KafkaNodePool", "topic.KafkaTopic", "user.KafkaUser")
GROUPS: Final = (*MODULES, "strimzi")


def definitions(group: str) -> list[Document]:
    """The definitions of one of `GROUPS`."""
    folder = place_of("crds", Path(__file__), STRIMZI_POM)
    if not folder.exists():
        with scratch() as work:
            made = work / "crds"
            made.mkdir()
            for name in GROUPS:
                (made / f"{name}.json").write_text(json.dumps(list(_made(name, work))))
            keep(made, folder)
    documents: list[Document] = json.loads((folder / f"{group}.json").read_text())
    return documents


def module_files(module: GoModule) -> list[Path]:
    """Where the files of a module lie, downloaded by now; a zip with another sum than the pinned one is refused."""
    require(GO)
    with tempfile.TemporaryDirectory() as outside:  # in no module: the zip alone is wanted, not what it depends on
        run = subprocess.run(
            ["go", "mod", "download", "-json", f"{module.path}@{module.version}"],
            cwd=outside,
            env=os.environ | {"GOFLAGS": "-mod=mod"},
            capture_output=True,
            text=True,
            check=False,
        )
    assert run.returncode == 0, f"{module.path}@{module.version}: {run.stdout}{run.stderr}"
    told = json.loads(run.stdout)
    assert told["Sum"] == module.sum, f"{module.path}@{module.version} has the sum {told['Sum']}, not {module.sum}"
    found = [file for pattern in module.files for file in sorted(Path(told["Dir"]).glob(pattern))]
    assert len(found) >= len(module.files), f"{module.path}@{module.version} lacks one of {module.files}"
    return found


def _made(group: str, work: Path) -> Iterator[Document]:
    for file in _strimzi(work) if group == "strimzi" else module_files(MODULES[group]):
        yield from yaml.load_all(file.read_text(), yaml.CSafeLoader)


def _strimzi(work: Path) -> list[Path]:
    require(JAVA, MAVEN)
    shutil.copy(STRIMZI_POM, work)
    jars = work / "jars"
    goal = ["dependency:copy-dependencies", "-DincludeScope=runtime", f"-DoutputDirectory={jars}"]
    _run(["mvn", "--batch-mode", "--quiet", "--strict-checksums", *goal], work)
    files = {kind: work / "strimzi" / f"{kind}.yaml" for kind in STRIMZI_KINDS}
    (work / "strimzi").mkdir()
    asked = [f"{STRIMZI_MODEL}.{kind}={file}" for kind, file in files.items()]
    generator = ["java", "-cp", f"{jars}/*", "io.strimzi.crdgenerator.CrdGenerator"]
    _run([*generator, "--target-kube", "1.25+", "--yaml", *asked], work)
    return list(files.values())


def _run(command: list[str], folder: Path) -> None:
    run = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert run.returncode == 0, f"{command[0]}: {run.stdout}{run.stderr}"
