"""The pages of a real server on a real port, asked over HTTP."""

import socket
import struct

import httpx
import pytest

from watchnext.errors import ServerError
from watchnext.ops.http import Health, listen_on, pages


class Hands:
    """A monotonic clock that the test moves."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port


def test_a_process_starts_not_ready_becomes_ready_and_says_why_it_is_not_any_more():
    health = Health(alive_s=60)
    assert health.readyz() == (503, "starting")
    health.ready("2 partitions")
    assert health.readyz() == (200, "ready: 2 partitions")
    health.waiting("the broker does not answer")
    assert health.readyz() == (503, "the broker does not answer")
    assert health.healthz() == (200, "alive")  # a restart would not bring the broker back


def test_a_loop_that_stands_still_is_neither_alive_nor_ready():
    clock = Hands()
    health = Health(alive_s=60, monotonic=clock)
    health.ready("2 partitions")
    clock.now += 60
    assert health.healthz() == (200, "alive")
    clock.now += 1
    hangs = (503, "the loop has not turned for 61 s: it hangs")
    assert health.healthz() == hangs
    assert health.readyz() == hangs
    health.beat()
    assert health.readyz() == (200, "ready: 2 partitions")


def test_the_pages_over_http():
    health, port = Health(alive_s=60), free_port()
    with pages(health, host="127.0.0.1", port=port, setting="ops.worker_port"):
        url = f"http://127.0.0.1:{port}"
        waiting = httpx.get(f"{url}/readyz")
        assert (waiting.status_code, waiting.json()) == (503, {"status": "starting"})
        health.ready("2 partitions")
        ready = httpx.get(f"{url}/readyz?verbose=1")
        assert (ready.status_code, ready.json()) == (200, {"status": "ready: 2 partitions"})
        assert httpx.get(f"{url}/healthz").json() == {"status": "alive"}
        metrics = httpx.get(f"{url}/metrics")
        assert metrics.headers["content-type"].startswith("text/plain; version=")
        assert "# TYPE process_cpu_seconds_total counter" in metrics.text
        assert httpx.get(f"{url}/").status_code == 404
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{url}/healthz")


def test_a_port_that_is_taken_is_told_in_one_sentence_with_its_setting():
    with socket.create_server(("127.0.0.1", 0)) as holder:
        port = holder.getsockname()[1]
        with (
            pytest.raises(ServerError) as raised,
            pages(Health(alive_s=1), host="127.0.0.1", port=port, setting="ops.worker_port"),
        ):
            pass
    assert str(raised.value) == (
        f"cannot listen on 127.0.0.1:{port}: Address already in use; ops.worker_port names another port"
    )


def test_a_client_that_hangs_up_leaves_no_traceback(capfd: pytest.CaptureFixture[str]):
    """A probe or a balancer that resets its connection wrote twenty lines each time."""
    port, reset_on_close = free_port(), struct.pack("ii", 1, 0)
    with pages(Health(alive_s=60), host="127.0.0.1", port=port, setting="ops.worker_port"):
        for sent in (b"", b"GET /hea"):
            with socket.create_connection(("127.0.0.1", port)) as client:
                client.sendall(sent)
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, reset_on_close)
        assert httpx.get(f"http://127.0.0.1:{port}/healthz").status_code == 200
    assert capfd.readouterr().err == ""


@pytest.mark.skipif(not socket.has_dualstack_ipv6(), reason="this machine has no IPv6")
def test_a_host_of_ipv6_is_listened_on():
    with listen_on("::1", 0, "gateway.rest_port") as listener:
        socket.create_connection(("::1", listener.getsockname()[1]), timeout=10).close()
    with listen_on("::", 0, "gateway.rest_port") as listener:
        socket.create_connection(("127.0.0.1", listener.getsockname()[1]), timeout=10).close()
