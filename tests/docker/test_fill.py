"""`docker/fill` makes what the images are to be, and the programs run there as their user on a read-only root."""

import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sysconfig
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest

ROOT = Path(__file__).parents[2]
FILL = ROOT / "docker" / "fill"
PACKAGES = "opt/watchnext/site-packages"
CONFIG = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:9093
listeners=PLAINTEXT://127.0.0.1:9092,CONTROLLER://127.0.0.1:9093
controller.listener.names=CONTROLLER
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
log.dirs=/tmp/data
"""
# Mounts that end with the process, as a container has them: the root read-only, /tmp the only place to write.
CONTAINER = """\
mount --bind "$0" "$0"
[ -z "$1" ] || mount --bind "$1" "$0/opt/watchnext/site-packages"
mount -t proc proc "$0/proc"; mount --bind /dev "$0/dev"; mount -t tmpfs -o mode=1777 tmpfs "$0/tmp"
mount -o remount,bind,ro "$0"
ip link set lo up
exec chroot --userspec=10001:10001 "$0" env -i PATH=/usr/local/bin:/usr/bin:/bin HOME=/tmp $2 sh -euc "$3"
"""

pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="docker/fill needs root"),
    pytest.mark.skipif(
        not shutil.which("debootstrap"), reason="docker/fill needs debootstrap (apt install debootstrap)"
    ),
    pytest.mark.timeout(1800),  # with nothing kept, it downloads a Debian system, Java and CycloneDX
]


@dataclass(frozen=True)
class Image:
    """A filled folder, its configuration, and what fill told of its steps."""

    root: Path
    config: dict[str, Any]
    told: list[str]

    def command(self, script: str, packages: str = "") -> list[str]:
        """`script` in a container of this image, with `packages` of this machine where one mounts them."""
        apart = ["unshare", "--mount", "--propagation=private", "--net", "--pid", "--fork", "--kill-child"]
        variables = " ".join(self.config.get("Env", []))
        return [*apart, "sh", "-euc", CONTAINER, str(self.root), packages, variables, script]

    def run(self, script: str, packages: str = "") -> str:
        ended = subprocess.run(self.command(script, packages), capture_output=True, text=True, check=False)
        assert ended.returncode == 0, ended.stdout + ended.stderr
        return ended.stdout + ended.stderr


def filled(target: str, folder: Path, *options: str) -> Image:
    run = subprocess.run([FILL, target, folder, *options], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    return Image(folder, json.loads(run.stdout), run.stderr.splitlines())


@pytest.fixture(scope="module")
def torchserve() -> Iterator[Image]:
    with tempfile.TemporaryDirectory() as folder:
        yield filled("torchserve", Path(folder) / "root", "--without-packages", "--build-arg", "REVISION=abc")


@pytest.fixture(scope="module")
def kafka() -> Iterator[Image]:
    with tempfile.TemporaryDirectory() as folder:
        yield filled("kafka", Path(folder) / "root")


@pytest.fixture(params=["torchserve", "kafka"])
def image(request: pytest.FixtureRequest) -> Image:
    found: Image = request.getfixturevalue(request.param)
    return found


def lines_of(target: str) -> list[str]:
    """What the Dockerfile's lines do for a target, in order, read by means of the test's own."""
    text = re.sub(r"\\\n\s*", "", (ROOT / "docker" / "Dockerfile").read_text())
    steps: dict[str, list[str]] = {}
    stage = ""
    for line in text.splitlines():
        if found := re.fullmatch(r"FROM (\S+) AS (\S+)", line):
            stage = found.group(2)
            steps[stage] = list(steps.get(found.group(1), []))
        elif line.startswith(("RUN ", "COPY ")):
            steps[stage].append(
                " ".join(word for word in line.split() if not re.match(r"--(mount|network|from)=", word))
            )
    return steps[target]


def test_every_step_of_the_dockerfile_is_run_in_its_order(image: Image, request: pytest.FixtureRequest) -> None:
    target = request.node.callspec.params["image"]
    own = [line.partition(": ")[2].rpartition(": ")[0] for line in image.told if line.startswith(f"{target}: ")]
    assert [step for step in own if not step.startswith("debootstrap ")] == lines_of(target)


def test_a_second_fill_downloads_nothing(kafka: Image, tmp_path: Path) -> None:
    again = filled("kafka", tmp_path / "root", "--build-arg", "REVISION=other")
    shutil.rmtree(tmp_path / "root")
    anew = [line.split(": ")[1] for line in again.told if "RUN" in line and not line.endswith(": kept")]
    assert anew == ['RUN python3.11 -I /steps/sbom.py watchnext-kafka "$VERSION"']
    assert again.config["Labels"]["org.opencontainers.image.revision"] == "other"
    assert kafka.config["Labels"]["org.opencontainers.image.revision"] == "unknown"


def test_the_configuration_is_the_dockerfiles(torchserve: Image) -> None:
    assert torchserve.config["User"] == "10001:10001"
    assert torchserve.config["Cmd"] == ["python3.11", "-m", "watchnext.local.torchserve"]
    assert torchserve.config["Labels"]["org.opencontainers.image.revision"] == "abc"
    assert "PYTHONPATH=/opt/watchnext/app:/opt/watchnext/site-packages" in torchserve.config["Env"]


def test_no_cache_no_tool_and_nothing_of_this_machine_is_left(image: Image) -> None:
    assert image.root.stat().st_mode & 0o777 == 0o755
    for folder in ("var/lib/apt/lists", "var/cache/apt", "tmp", "run", "dev", "proc"):
        assert not list((image.root / folder).iterdir()), folder
    for gone in (
        "steps",
        "context",
        "root/.cache",
        "opt/tools",
        "etc/hostname",
        "etc/resolv.conf",
        "etc/apt/sources.list",
    ):
        assert not (image.root / gone).exists(), gone
    assert files_of(image.root / "var" / "log") == set()
    assert files_of(image.root / "usr" / "share" / "man") == set()
    assert files_of(image.root / "usr" / "share" / "doc") == {"copyright"}


def files_of(folder: Path) -> set[str]:
    return {path.name for path in folder.rglob("*") if path.is_file() and not path.is_symlink()}


def test_no_program_gains_rights(image: Image) -> None:
    files = [path for path in image.root.rglob("*") if path.is_file() and not path.is_symlink()]
    assert [path for path in files if path.stat().st_mode & 0o6000] == []


def test_the_code_of_the_checkout_is_there_with_bytecode_that_file_times_do_not_void(torchserve: Image) -> None:
    app = torchserve.root / "opt" / "watchnext" / "app"
    assert sorted(path.name for path in app.iterdir()) == [
        "feature_repo", "model_handlers", "pipelines", "serving", "watchnext",
    ]  # fmt: skip
    assert (app / "watchnext" / "errors.py").read_bytes() == (ROOT / "src" / "watchnext" / "errors.py").read_bytes()
    (compiled,) = app.glob("watchnext/__pycache__/errors.*.pyc")
    (standard,) = torchserve.root.glob("usr/lib/python3.11/__pycache__/argparse.*.pyc")
    unchecked_hash = (1).to_bytes(4, "little")  # PEP 552
    assert (compiled.read_bytes()[4:8], standard.read_bytes()[4:8]) == (unchecked_hash, unchecked_hash)


def test_the_programs_run_as_their_user_on_a_read_only_root(torchserve: Image) -> None:
    assert list((torchserve.root / PACKAGES).iterdir()) == []
    packages = sysconfig.get_paths()["purelib"]
    assert torchserve.run("id -u; python3.11 -c 'import watchnext; print(watchnext.__file__)'").split() == [
        "10001", "/opt/watchnext/app/watchnext/__init__.py",
    ]  # fmt: skip
    assert 'openjdk version "17.' in torchserve.run("java -version")
    assert "Usage: python -m watchnext.cli.main" in torchserve.run("watchnext --help", packages)
    imported = "import serving.gateway, serving.retrieval, serving.ranking, model_handlers.follower, pipelines.run, ts"
    torchserve.run(f"python3.11 -c '{imported}'", packages)
    assert "Read-only file system" in torchserve.run("touch /x || true")


def test_kafka_formats_once_and_starts_as_its_user_on_a_read_only_root(kafka: Image) -> None:
    script = f"""\
cat >/tmp/server.properties <<'END'
{CONFIG}END
for turn in 1 2; do
  /opt/kafka/bin/kafka-storage.sh format -t d2F0Y2huZXh0LWthZmthLXg -c /tmp/server.properties \\
    --ignore-formatted 2>/dev/null
done
export KAFKA_HEAP_OPTS=-Xmx256m
exec /opt/kafka/bin/kafka-server-start.sh /tmp/server.properties 2>&1
"""
    with subprocess.Popen(kafka.command(script), stdout=subprocess.PIPE, text=True) as broker:
        assert broker.stdout is not None
        said, command, status = list[str](), list[bytes](), ""
        for line in broker.stdout:
            said.append(line)
            if "Kafka Server started" in line:
                (java,) = children(broker.pid)
                command = Path(f"/proc/{java}/cmdline").read_bytes().split(b"\0")
                status = Path(f"/proc/{java}/status").read_text()
                os.kill(java, signal.SIGTERM)
    text = "".join(said)
    assert b"-Xmx256m" in command
    assert re.search(r"^Uid:\t10001\t10001\t", status, re.MULTILINE)
    assert "Kafka Server started" in text, text
    assert "Formatting metadata directory /tmp/data" in text
    assert "All of the log directories are already formatted." in text


def children(process: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{process}/task/{process}/children").read_text().split()]


def test_the_image_lists_all_that_it_holds(kafka: Image) -> None:
    bom = json.loads((kafka.root / "usr/share/watchnext/sbom.cdx.json").read_text())
    assert (bom["bomFormat"], bom["specVersion"]) == ("CycloneDX", "1.6")
    assert bom["metadata"]["component"]["name"] == "watchnext-kafka"
    purls = {component["purl"].split("?")[0]: component for component in bom["components"]}
    installed = (kafka.root / "var/lib/dpkg/status").read_text().split("\n\n")
    names = {re.search(r"^Package: (.*)", entry, re.MULTILINE).group(1) for entry in installed if entry.strip()}  # type: ignore[union-attr] # each has a name
    assert {unquote(purl.split("/")[2].split("@")[0]) for purl in purls if purl.startswith("pkg:deb/debian/")} == names
    listed = {component["hashes"][0]["content"] for purl, component in purls.items() if purl.startswith("pkg:maven/")}
    jars = {hashlib.sha256(jar.read_bytes()).hexdigest() for jar in (kafka.root / "opt/kafka/libs").iterdir()}
    assert listed == jars
    assert len(purls) == len(bom["components"]) == len(names) + len(jars)  # Python's own packages: none


def test_a_folder_that_holds_something_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine").touch()
    run = subprocess.run([FILL, "kafka", tmp_path], capture_output=True, text=True, check=False)
    assert run.returncode == 1
    assert run.stderr == f"error: {tmp_path} is not an empty folder: name a new one\n"
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]
