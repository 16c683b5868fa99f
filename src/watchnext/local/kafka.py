"""A real Kafka broker in KRaft mode, broker and controller in one JVM, on loopback.

The flags are for a quick start on a small machine: serial collector, first compiler tier, and a class data archive
(`downloads.share_classes`), which together bring the start from 6 s to under 2 s.
"""

import base64
import hashlib
import os
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Final

from watchnext.errors import ServerError
from watchnext.local.cache import require_download
from watchnext.local.prerequisites import java, require_java
from watchnext.local.probes import kafka_answers
from watchnext.local.servers import Port, Server, run_folder

if TYPE_CHECKING:
    from watchnext.settings import Settings

CLASS_ARCHIVE: Final = "classes.jsa"


def java_command(jars: Path, heap: str, flags: tuple[str, ...], main: str, *arguments: str) -> list[str]:
    """A JVM on Kafka's jars. The class path is sorted: the class data archive is bound to its order."""
    class_path = os.pathsep.join(str(jar) for jar in sorted(jars.glob("*.jar")))
    options = ["-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Dorg.slf4j.simpleLogger.showDateTime=true"]
    return [java(), f"-Xmx{heap}", *options, *flags, "-cp", class_path, main, *arguments]


def properties(data: Path, port: int, controller_port: int) -> str:
    """`server.properties` of the one broker. Topics are made by `stream.topics`, with partitions, never by accident.

    `data` is relative to where the broker runs: Kafka takes a comma for a list, and reads the file as Latin-1.
    """
    return "\n".join(
        [
            "process.roles=broker,controller",
            "node.id=1",
            f"controller.quorum.voters=1@127.0.0.1:{controller_port}",
            f"listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller_port}",
            f"advertised.listeners=PLAINTEXT://127.0.0.1:{port}",
            "controller.listener.names=CONTROLLER",
            "listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
            f"log.dirs={data}",
            "auto.create.topics.enable=false",
            "log.retention.ms=-1",
            "log.cleaner.dedupe.buffer.size=16777216",
            "group.initial.rebalance.delay.ms=0",
            "group.min.session.timeout.ms=1000",
            "broker.session.timeout.ms=3000",  # back sooner after kill -9
            "broker.heartbeat.interval.ms=500",
            *(
                f"{topic}.{key}=1"
                for topic in ("transaction.state.log", "share.coordinator.state.topic")
                for key in ("num.partitions", "replication.factor", "min.isr")
            ),
            "offsets.topic.num.partitions=1",
            "offsets.topic.replication.factor=1",
            "",
        ]
    )


def format_storage(jars: Path, folder: Path, port: int, controller_port: int) -> None:
    """Makes `folder/data` a formatted log folder, once and whole: a half-made one is made anew.

    Raises:
        ServerError: Kafka's storage tool failed; the message carries what it said.
    """
    data, fresh = folder / "data", folder / "data.new"
    if data.exists():
        return
    shutil.rmtree(fresh, ignore_errors=True)
    config = folder / "format.properties"
    config.write_text(properties(Path(fresh.name), port, controller_port))
    cluster = base64.urlsafe_b64encode(b"w" + hashlib.sha256(str(folder).encode()).digest()[:15]).decode().rstrip("=")
    command = java_command(
        jars, "128m", (), "kafka.tools.StorageTool", "format", "--cluster-id", cluster, "--config", str(config)
    )
    run = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if run.returncode:
        raise ServerError(f"Kafka could not format {fresh}: {(run.stderr or run.stdout).strip()[-500:]}")
    config.unlink()
    fresh.rename(data)


def kafka_server(settings: "Settings", jars: Path, port: int) -> Server:
    """The broker of `settings` on `port`."""
    home = settings.home.absolute()
    folder = home / "kafka"
    data = os.path.relpath(run_folder(home).parent / "kafka" / "data", run_folder(home) / "kafka")
    config = folder / "server.properties"
    controller_port = settings.local.kafka_controller_port
    archive = jars / CLASS_ARCHIVE
    flags = (f"-XX:SharedArchiveFile={archive}",) if archive.exists() else ()

    def prepare() -> None:
        require_java()
        require_download(jars, "Kafka")
        folder.mkdir(parents=True, exist_ok=True)
        format_storage(jars, folder, port, controller_port)
        config.write_text(properties(Path(data), port, controller_port))

    return Server(
        name="kafka",
        what="Kafka broker (KRaft)",
        command=tuple(java_command(jars, settings.local.kafka_heap, flags, "kafka.Kafka", str(config))),
        ports=(Port(port, "kafka.bootstrap"), Port(controller_port, "local.kafka_controller_port")),
        ready=lambda: kafka_answers(port),
        prepare=prepare,
        stop_seconds=20,
    )
