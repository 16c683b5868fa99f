"""Real processes: detached, found again, ended whole, and never somebody else's."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.services.conftest import wait_for
from watchnext.local import processes
from watchnext.local.guardian import guarded
from watchnext.local.instance import Instance
from watchnext.local.processes import SERVER_MARK, STARTER_MARK
from watchnext.local.servers import Server

# A server with a child in a session of its own, as stubborn as can be.
STUBBORN = "trap '' TERM INT; setsid sleep 1000 & while :; do sleep 1; done"


@pytest.fixture
def pid_file(tmp_path: Path) -> Iterator[Path]:
    file = tmp_path / "server.pid"
    yield file
    processes.kill_marked(SERVER_MARK, str(file))


def start(pid_file: Path, script: str, **environment: str) -> processes.Process:
    processes.start(
        ["/bin/sh", "-c", script],
        pid_file=pid_file,
        log=pid_file.with_suffix(".log"),
        folder=pid_file.parent,
        environment={**os.environ, **environment},
    )
    process = processes.read(pid_file)
    assert process is not None
    return process


def test_a_server_is_nobodys_child_in_a_session_of_its_own_and_logs(pid_file: Path):
    process = start(pid_file, "echo hello; exec sleep 1000")

    wait_for(lambda: "hello" in pid_file.with_suffix(".log").read_text())
    assert process.alive
    assert os.getsid(process.pid) != os.getsid(0)
    assert process.pid not in {child.pid for child in children_of(os.getpid())}


def test_end_kills_what_ignores_signals_and_what_left_the_session(pid_file: Path):
    process = start(pid_file, STUBBORN)
    wait_for(lambda: len(processes.marked_pids(SERVER_MARK, str(pid_file))) >= 3)

    processes.end(pid_file, stop_signal=signal.SIGTERM, seconds=0.3)

    assert not process.alive
    assert processes.marked_pids(SERVER_MARK, str(pid_file)) == []
    assert not pid_file.exists()


def test_end_finds_the_children_of_a_killed_server(pid_file: Path):
    process = start(pid_file, STUBBORN)
    wait_for(lambda: len(processes.marked_pids(SERVER_MARK, str(pid_file))) >= 3)
    os.kill(process.pid, signal.SIGKILL)
    wait_for(lambda: not process.alive)

    processes.end(pid_file, stop_signal=signal.SIGTERM, seconds=5)

    assert processes.marked_pids(SERVER_MARK, str(pid_file)) == []


def test_a_home_is_the_same_however_it_is_spelled(tmp_path: Path):
    """`down` left children of a server that `up` had started by a link to the home, or by a way with two dots."""
    (tmp_path / "link").symlink_to("home")
    toy = Server(name="toy", what="", command=("/bin/sh", "-c", STUBBORN), stop_seconds=0.3)
    started, seen = Instance(toy, tmp_path / "home"), Instance(toy, tmp_path / "link" / ".." / "link")
    try:
        started.spawn(os.environ)
        wait_for(lambda: len(processes.marked_pids(SERVER_MARK, str(started.pid_file))) >= 3)

        assert seen.status().pid == started.status().pid is not None
        assert seen.stop()
        assert processes.marked_pids(SERVER_MARK, str(started.pid_file)) == []
    finally:
        started.stop()


def test_a_server_whose_home_was_moved_has_a_pid(tmp_path: Path):
    """Its processes bear the old home's name; so it is for who may not read their environments."""
    toy = Server(name="toy", what="", command=("sleep", "1000"))
    try:
        Instance(toy, tmp_path / "home").spawn(os.environ)
        (tmp_path / "home").rename(tmp_path / "moved")

        status = Instance(toy, tmp_path / "moved").status()

        assert (status.state, status.pid) == ("running", int((tmp_path / "moved/run/toy.pid").read_text().split()[0]))
        assert status.seconds < 60
    finally:
        processes.kill_marked(SERVER_MARK, str(Instance(toy, tmp_path / "home").pid_file))


def test_a_recycled_pid_is_left_alone(pid_file: Path):
    with subprocess.Popen(["sleep", "1000"]) as stranger:
        pid_file.write_text(f"{stranger.pid} 12345\n")  # the pid of one process, the start time of another

        assert not processes.Process(stranger.pid, 12345).alive
        processes.end(pid_file, stop_signal=signal.SIGKILL, seconds=1)

        assert stranger.poll() is None
        stranger.kill()


def test_a_server_hears_sigint_though_its_starter_ignores_it(pid_file: Path):
    previous = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        process = start(pid_file, f"exec {sys.executable} -c 'import time; time.sleep(1000)'")
    finally:
        signal.signal(signal.SIGINT, previous)
    time.sleep(0.5)  # Python's own handler is set during its start

    processes.end(pid_file, stop_signal=signal.SIGINT, seconds=15)

    assert not process.alive
    assert "KeyboardInterrupt" in pid_file.with_suffix(".log").read_text()


def test_the_guardian_ends_the_servers_of_a_killed_starter(tmp_path: Path):
    pid_file = tmp_path / "server.pid"
    program = f"""
import os, pathlib, time
from watchnext.local import guardian, processes
file = pathlib.Path({str(pid_file)!r})
with guardian.guarded() as starter:
    processes.start(["sleep", "1000"], pid_file=file, log=file.with_suffix(".log"), folder=file.parent,
                    environment={{**os.environ, processes.STARTER_MARK: starter}})
    print("started", flush=True)
    time.sleep(1000)
"""
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as starter:
        assert starter.stdout is not None
        assert starter.stdout.readline() == "started\n"
        process = processes.read(pid_file)
        assert process is not None
        assert process.alive
        starter.kill()

    wait_for(lambda: not process.alive)


def test_the_guardian_leaves_released_servers_alone(pid_file: Path):
    with guarded() as starter:
        process = start(pid_file, "exec sleep 1000", **{STARTER_MARK: starter})
        guardian = [pid for pid in all_pids() if starter in arguments_of(pid)]
        assert guardian

    wait_for(lambda: not any(starter in arguments_of(pid) for pid in guardian))
    assert process.alive


def test_the_guardian_ends_what_an_error_left_behind(pid_file: Path):
    """A second Ctrl-C cuts off the starter while it stops what it started."""
    started: list[processes.Process] = []

    def cut_off() -> None:
        with guarded() as starter:
            started.append(start(pid_file, "exec sleep 1000", **{STARTER_MARK: starter}))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cut_off()
    (process,) = started
    wait_for(lambda: not process.alive)


def children_of(pid: int) -> list[processes.Process]:
    return [processes.Process(child.pid, 0) for child in psutil.Process(pid).children()]


def all_pids() -> list[int]:
    return [int(folder.name) for folder in Path("/proc").iterdir() if folder.name.isdigit()]


def arguments_of(pid: int) -> list[str]:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text().split("\0")
    except OSError:
        return []


def test_a_mark_that_is_no_utf8_is_read_too(tmp_path: Path):
    """One process of anybody's with such a mark, and `watchnext down` ended in a traceback."""
    mark = os.fsdecode(os.fsencode(tmp_path) + b"/h\xff/run/x.pid")
    with subprocess.Popen(["sleep", "1000"], env={**os.environ, SERVER_MARK: mark}) as alien:
        wait_for(lambda: mark in processes.marked_values(SERVER_MARK))
        assert processes.marked_pids(SERVER_MARK, mark) == [alien.pid]
        alien.kill()
