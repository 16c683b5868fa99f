"""What the local servers need from outside Python: Kafka's jars (Maven) and the KServe router (Go).

They are made in a temporary folder and renamed into the cache, so what is there is whole. Standard library only.
"""

import os
import shutil
import socket
import subprocess
from pathlib import Path
from typing import Final

from watchnext.errors import PrerequisiteError
from watchnext.local.cache import ARTIFACTS, kafka_jars, keep, router_binary, scratch
from watchnext.local.kafka import CLASS_ARCHIVE, format_storage, java_command, properties
from watchnext.local.prerequisites import GO, JAVA, MAVEN, require

ROUTER_PACKAGE: Final = "github.com/kserve/kserve/cmd/router"
GO_FLAGS: Final = ("-gcflags=all=-dwarf=false", "-ldflags=-s -w")  # no debug data: less to compile


def fetch_kafka() -> None:
    """Downloads the jars (43 MB), checksums verified by Maven, and makes the class data archive."""
    jars = kafka_jars()
    if not jars.exists():
        require(JAVA, MAVEN)
        with scratch() as folder:
            shutil.copy(ARTIFACTS / "kafka" / "pom.xml", folder)
            target = folder / "jars"
            goal = ["dependency:copy-dependencies", f"-DoutputDirectory={target}"]
            _run(["mvn", "--batch-mode", "--quiet", "--strict-checksums", *goal], folder, "Maven")
            keep(target, jars)
    if not (jars / CLASS_ARCHIVE).exists():
        share_classes(jars)


def share_classes(jars: Path) -> None:
    """Runs a broker once and keeps its loaded classes as an archive that later starts map into memory."""
    with scratch() as folder:
        archive = folder / CLASS_ARCHIVE
        port, controller_port = _free_ports()
        format_storage(jars, folder, port, controller_port)
        config = folder / "server.properties"
        config.write_text(properties(Path("data"), port, controller_port))
        command = java_command(jars, "256m", (f"-XX:ArchiveClassesAtExit={archive}",), "kafka.Kafka", str(config))
        said = []
        with subprocess.Popen(
            command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        ) as broker:
            assert broker.stdout is not None
            for line in broker.stdout:
                said.append(line)
                if "Kafka Server started" in line:
                    broker.terminate()
        if not archive.exists():
            raise PrerequisiteError(f"a first start of Kafka left no class archive: {''.join(said)[-500:]}")
        keep(archive, jars / CLASS_ARCHIVE)


def build_router() -> None:
    """Builds the InferenceGraph router of KServe from its Go module; versions and sums are pinned in `artifacts/`."""
    build_go(ROUTER_PACKAGE, ARTIFACTS / "router", router_binary())


def build_go(package: str, module: Path, binary: Path) -> None:
    """Builds a package with the versions and sums that the folder `module` pins, unless its program is there."""
    if binary.exists():
        return
    require(GO)
    with scratch() as folder:
        shutil.copytree(module, folder / "module")
        target = folder / "out"
        command = ["go", "build", "-mod=readonly", "-trimpath", *GO_FLAGS, "-o", f"{target}/{binary.name}"]
        _run([*command, package], folder / "module", "Go")
        keep(target, binary.parent)


def _run(command: list[str], folder: Path, what: str) -> None:
    environment = os.environ | {"CGO_ENABLED": "0", "GOFLAGS": ""}
    run = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, errors="replace", check=False
    )
    if run.returncode:
        said = (run.stdout + run.stderr).strip()[-1500:]
        raise PrerequisiteError(f"{what} failed (exit {run.returncode}): {' '.join(command)}\n{said}")


def _free_ports() -> tuple[int, int]:
    with socket.socket() as first, socket.socket() as second:
        first.bind(("127.0.0.1", 0))
        second.bind(("127.0.0.1", 0))
        return first.getsockname()[1], second.getsockname()[1]
