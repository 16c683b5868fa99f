import os
import subprocess
from pathlib import Path

import pytest

from watchnext.local.kafka import format_storage, kafka_server, properties
from watchnext.local.servers import run_folder
from watchnext.settings import Settings

TEXT = properties(Path("/home/data"), 19092, 19093)


@pytest.mark.parametrize(
    "line",
    [
        "listeners=PLAINTEXT://127.0.0.1:19092,CONTROLLER://127.0.0.1:19093",
        "controller.quorum.voters=1@127.0.0.1:19093",
        "log.dirs=/home/data",
        "auto.create.topics.enable=false",
        "offsets.topic.num.partitions=1",
        "transaction.state.log.num.partitions=1",
        "transaction.state.log.min.isr=1",
        "group.initial.rebalance.delay.ms=0",
    ],
)
def test_the_broker_has(line: str):
    assert line in TEXT.splitlines()


def test_every_listener_is_on_loopback():
    addresses = [word for line in TEXT.splitlines() if "://" in line for word in line.partition("=")[2].split(",")]

    assert addresses
    assert all("://127.0.0.1:" in address for address in addresses)


def test_a_home_of_any_name_holds_the_data(tmp_path, monkeypatch):
    """A comma made two folders of it, and of a name that is not ASCII Kafka made another one beside the home."""
    folders = []

    def format_there(command: list[str], cwd: Path, **_: object) -> subprocess.CompletedProcess[str]:
        folders.append(log_folder(Path(command[-1]), cwd))
        folders[0].mkdir()
        return subprocess.CompletedProcess(command, 0)

    home = tmp_path / "jürgen, élan"
    (home / "kafka").mkdir(parents=True)
    monkeypatch.setattr(subprocess, "run", format_there)
    monkeypatch.setattr("watchnext.local.kafka.require_java", lambda: None)

    format_storage(tmp_path, home / "kafka", 19092, 19093)
    kafka_server(Settings(home=home), tmp_path, 19092).prepare()

    assert folders == [home / "kafka" / "data.new"]
    assert log_folder(home / "kafka" / "server.properties", run_folder(home) / "kafka") == home / "kafka" / "data"


def log_folder(config: Path, cwd: Path) -> Path:
    """As Kafka reads it: Latin-1, a list with commas, from where it runs."""
    (line,) = [line for line in config.read_text("latin-1").splitlines() if line.startswith("log.dirs=")]
    (folder,) = line.removeprefix("log.dirs=").split(",")
    return Path(os.path.normpath(cwd / folder))
