"""`watchnext up | down | status` on real servers."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.services.conftest import private_settings, wait_for
from watchnext.errors import ServerError
from watchnext.local import processes, supervisor
from watchnext.local.environment import server_environment
from watchnext.local.ports import port_is_free
from watchnext.local.processes import SERVER_MARK
from watchnext.local.servers import Server, run_folder
from watchnext.settings import Settings

BACKENDS = "kafka,valkey,milvus"


@pytest.fixture(autouse=True)
def heeded_ctrl_c() -> Iterator[None]:
    """Where a script started pytest in its background, Ctrl-C is ignored there and in all that it starts."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def settings(tmp_path: Path) -> Iterator[Settings]:
    """A home of its own; whatever a test leaves running in it is stopped."""
    settings = private_settings(tmp_path)
    yield settings
    supervisor.down(settings)


def command(settings: Settings, *arguments: str) -> list[str]:
    config = server_environment(settings)["WATCHNEXT_CONFIG"]
    return [str(Path(sys.executable).parent / "watchnext"), "--config", config, *arguments]


def watchnext(settings: Settings, *arguments: str) -> Any:
    run = subprocess.run(
        command(settings, *arguments, "--json"), capture_output=True, text=True, check=False, timeout=120
    )
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout)


def states(settings: Settings) -> dict[str, str]:
    return {server["name"]: server["state"] for server in watchnext(settings, "status")["servers"]}


def process_of(settings: Settings, name: str) -> processes.Process:
    process = processes.read(run_folder(settings.home) / f"{name}.pid")
    assert process is not None
    return process


def living(settings: Settings) -> set[str]:
    """Servers of this home that have a process, found without pid files."""
    marks = processes.marked_values(SERVER_MARK)
    return {Path(mark).stem for mark in marks if Path(mark).parent == run_folder(settings.home)}


def pending_signals(pid: int) -> set[int]:
    """Signals that a process was sent and has not taken."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    bits = int(next(line for line in lines if line.startswith("ShdPnd:")).split()[1], base=16)
    return {number for number in signal.valid_signals() if bits >> (number - 1) & 1}


def is_stopped(pid: int) -> bool:
    """Whether SIGSTOP has reached a process: until then it still takes other signals."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].startswith("T")


def wait_until_gone(settings: Settings) -> None:
    deadline = time.monotonic() + 30
    while found := living(settings):
        assert time.monotonic() < deadline, f"orphans after 30 s: {found}"
        time.sleep(0.1)


def test_up_status_up_down_down(settings: Settings):
    assert watchnext(settings, "up", "--only", BACKENDS) == {"started": ["kafka", "valkey", "milvus"]}
    before = {name: process_of(settings, name) for name in ("kafka", "valkey", "milvus")}
    seen = states(settings)
    assert {name for name, state in seen.items() if state == "running"} == {"kafka", "valkey", "milvus"}

    assert watchnext(settings, "up", "--only", BACKENDS) == {"started": []}
    assert {name: process_of(settings, name) for name in before} == before

    assert watchnext(settings, "down") == {"stopped": ["milvus", "valkey", "kafka"]}
    assert living(settings) == set()
    assert not any(process.alive for process in before.values())
    assert watchnext(settings, "down") == {"stopped": []}


def test_a_killed_server_is_seen_and_comes_back_alone(settings: Settings):
    supervisor.up(settings, ["kafka", "valkey"])
    valkey = process_of(settings, "valkey")
    os.kill(process_of(settings, "kafka").pid, signal.SIGKILL)
    while process_of(settings, "kafka").alive:
        time.sleep(0.05)
    assert states(settings)["kafka"] == "stopped"

    assert supervisor.up(settings, ["kafka", "valkey"]) == ["kafka"]

    assert states(settings)["kafka"] == "running"
    assert process_of(settings, "valkey") == valkey


def test_a_hung_server_is_not_ready(settings: Settings):
    supervisor.up(settings, ["valkey"])
    os.kill(process_of(settings, "valkey").pid, signal.SIGSTOP)

    run = subprocess.run(command(settings, "status", "--json"), capture_output=True, text=True, check=False)

    assert run.returncode == 1
    assert {server["name"]: server["state"] for server in json.loads(run.stdout)["servers"]}["valkey"] == "not ready"


def test_valkeys_rows_outlive_kill_9(settings: Settings):
    supervisor.up(settings, ["valkey"])
    port = int(settings.features.online.rpartition(":")[2])
    assert ask_valkey(port, b"SET k v\r\n") == b"+OK\r\n"
    os.kill(process_of(settings, "valkey").pid, signal.SIGKILL)
    while process_of(settings, "valkey").alive:
        time.sleep(0.05)

    supervisor.up(settings, ["valkey"])

    assert ask_valkey(port, b"GET k\r\n") == b"$1\r\nv\r\n"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL, signal.SIGTERM])
def test_a_starter_that_is_ended_midway_leaves_no_orphan(settings: Settings, number: signal.Signals):
    with subprocess.Popen(command(settings, "up", "--only", BACKENDS), stderr=subprocess.PIPE, text=True) as starter:
        deadline = time.monotonic() + 60
        while not living(settings):
            assert starter.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.01)
        starter.send_signal(number)
        _, said = starter.communicate(timeout=60)

    wait_until_gone(settings)
    assert starter.returncode != 0
    assert "Traceback" not in said


def test_a_second_ctrl_c_leaves_no_orphan_either(settings: Settings):
    """It comes while the starter waits for the end of the server that it stops first: no other was told to end yet."""
    milvus_file = run_folder(settings.home) / "milvus.pid"
    with subprocess.Popen(command(settings, "up", "--only", BACKENDS), stderr=subprocess.PIPE, text=True) as starter:
        wait_for(lambda: milvus_file.exists())
        milvus = process_of(settings, "milvus")
        os.kill(milvus.pid, signal.SIGSTOP)  # neither ready nor gone at its stop signal
        wait_for(lambda: is_stopped(milvus.pid))
        starter.send_signal(signal.SIGINT)
        wait_for(lambda: signal.SIGINT in pending_signals(milvus.pid))
        assert living(settings) == {"kafka", "valkey", "milvus"}
        starter.send_signal(signal.SIGINT)
        starter.communicate(timeout=60)

    wait_until_gone(settings)


def test_an_up_after_a_killed_one_waits_until_what_that_left_is_gone(settings: Settings):
    """It took a server that the guardian was about to kill for one that runs."""
    milvus_file = run_folder(settings.home) / "milvus.pid"
    with subprocess.Popen(command(settings, "up", "--only", "milvus"), stderr=subprocess.DEVNULL) as starter:
        wait_for(lambda: milvus_file.exists())
        os.kill(process_of(settings, "milvus").pid, signal.SIGSTOP)  # heeds no stop signal of the guardian's
        starter.kill()

    assert supervisor.up(settings, ["milvus"]) == ["milvus"]

    assert states(settings)["milvus"] == "running"


def test_a_server_elsewhere_is_neither_looked_at_nor_stopped(settings: Settings):
    supervisor.up(settings, ["valkey"])
    far = settings.model_copy(update={"kafka": settings.kafka.model_copy(update={"bootstrap": "kafka.example:9092"})})

    assert "kafka" not in {server.name for server in supervisor.status(far)}
    assert supervisor.down(far) == ["valkey"]


def test_a_pid_file_that_was_lost_does_not_hide_its_server(settings: Settings):
    supervisor.up(settings, ["valkey"])
    process = process_of(settings, "valkey")
    (run_folder(settings.home) / "valkey.pid").unlink()

    with pytest.raises(ServerError, match=r"valkey\.pid was lost while it ran: `watchnext down --only valkey` ends it"):
        supervisor.up(settings, ["valkey"])
    assert supervisor.down(settings) == ["valkey"]
    assert not process.alive


def test_a_server_that_dies_tells_its_last_words_and_takes_the_others_along(settings: Settings):
    (settings.home / "milvus").write_text("a file where Milvus wants its folder")

    with pytest.raises(
        ServerError, match=r"milvus ended .* after its start\. Last lines of .*milvus\.log:\n(.|\n)+rror"
    ):
        supervisor.up(settings, ["valkey", "milvus"])

    assert living(settings) == set()


def test_a_server_that_dies_once_it_was_ready_fails_the_others_start(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
):
    first = Server(name="first", what="", command=("sh", "-c", "sleep 0.3; echo no disk"))
    second = Server(name="second", what="", command=("sleep", "60"), ready=lambda: "first" not in living(settings))
    monkeypatch.setattr(supervisor, "local_servers", lambda *_, **__: [first, second])

    with pytest.raises(ServerError, match=r"first ended 0 s after its start\. Last lines of .*first\.log:\nno disk"):
        supervisor.up(settings)

    assert living(settings) == set()


def test_a_port_that_is_taken_names_who_has_it_and_what_moves_it(settings: Settings):
    with socket.create_server(("127.0.0.1", int(settings.features.online.rpartition(":")[2]))):
        wanted = rf"valkey needs port \d+, which process {os.getpid()} \(.*\) holds: set features\.online"
        with pytest.raises(ServerError, match=wanted):
            supervisor.up(settings, ["valkey"])


def test_the_routers_port_cannot_be_moved(settings: Settings):
    holder = socket.create_server(("127.0.0.1", 8080)) if port_is_free(8080) else None
    try:
        with pytest.raises(ServerError, match=r"router needs port 8080, which process \d+ .* stop that process"):
            supervisor.up(settings, ["router"])
    finally:
        if holder is not None:
            holder.close()


def test_a_body_that_runs_servers_ends_them_even_if_it_fails(settings: Settings):
    def body() -> None:
        with supervisor.running(settings, ["valkey"]):
            assert living(settings) == {"valkey"}
            raise KeyError("the body's own")

    with pytest.raises(KeyError):
        body()
    assert living(settings) == set()


def ask_valkey(port: int, words: bytes) -> bytes:
    with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
        connection.sendall(words)
        return connection.recv(1_000)
