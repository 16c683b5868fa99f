"""Kubeflow Trainer and JobSet in the cluster under test, by their modules' charts; the controllers are built here."""

import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import yaml

from tests.chart.crds import MODULES, GoModule, module_files
from tests.cluster.cluster import Cluster
from tests.cluster.images import of_program
from watchnext.local.cache import go_program
from watchnext.local.downloads import build_go

TOOLS: Final = Path(__file__).parent / "tools"
NAMESPACE: Final = "kubeflow-system"
IMAGE: Final = "localhost/{}:test"
SMALL: Final = {"requests": {"cpu": "50m", "memory": "64Mi"}, "limits": {"memory": "256Mi"}}


@dataclass(frozen=True)
class Controller:
    """One of the two: its program, and its chart with our image."""

    package: str
    module: GoModule
    chart: str
    values: dict[str, Any]


CONTROLLERS: Final = {
    "jobset": Controller(
        "sigs.k8s.io/jobset",
        GoModule("sigs.k8s.io/jobset", "v0.11.1", "h1:WgLEBnXTeX+4MxfVkIbfm4jIVgjvIY6Jfaei2okxKNk=", ()),
        "charts/jobset",
        {
            "image": {"repository": "localhost/jobset", "tag": "test", "pullPolicy": "Never"},
            "controller": {"resources": SMALL},
        },
    ),
    "trainer": Controller(
        "github.com/kubeflow/trainer/v2/cmd/trainer-controller-manager",
        MODULES["trainer"],
        "charts/kubeflow-trainer",
        {
            "image": {"registry": "localhost", "repository": "trainer", "tag": "test", "pullPolicy": "Never"},
            "manager": {"resources": SMALL},
        },
    ),
}


def build() -> dict[str, Path]:
    """The programs, each built where it is not there yet (five minutes together on two idle cores)."""
    programs = {name: go_program(name, TOOLS / name) for name in CONTROLLERS}
    for name, controller in CONTROLLERS.items():
        build_go(controller.package, TOOLS / name, programs[name])
    return programs


def install(cluster: Cluster, folder: Path) -> None:
    """Both, ready; `folder` is for what is made on the way."""
    for name, program in build().items():
        controller = CONTROLLERS[name]
        cluster.load_image(of_program(program, folder, IMAGE.format(name), "manager"))
        values = folder / f"{name}.yaml"
        values.write_text(yaml.safe_dump(controller.values))
        chart = _alone(controller, folder / name)
        place = ("-n", NAMESPACE, "--create-namespace", "-f", str(values), "--wait", "--timeout", "5m")
        cluster.helm("upgrade", "--install", name, str(chart), *place)


def _alone(controller: Controller, copy: Path) -> Path:
    """A copy of a chart without the charts that it depends on, which its module lacks."""
    (described,) = module_files(replace(controller.module, files=(f"{controller.chart}/Chart.yaml",)))
    shutil.copytree(described.parent, copy, copy_function=shutil.copyfile)
    chart = copy / "Chart.yaml"
    tree = yaml.safe_load(chart.read_text())
    tree.pop("dependencies", None)
    chart.write_text(yaml.safe_dump(tree))
    return copy
