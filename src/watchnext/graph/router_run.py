"""KServe's router program on a graph, for as long as a body runs, and one request to it."""

import http.client
import os
import signal
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from watchnext.local.cache import require_download, router_binary
from watchnext.local.guardian import guarded
from watchnext.local.instance import Instance
from watchnext.local.ports import check_ports, port_is_free
from watchnext.local.probes import LOOPBACK, http_ok
from watchnext.local.processes import STARTER_MARK
from watchnext.local.router import READINESS
from watchnext.local.servers import Port, Server

ROUTER_PORT: Final = 8080  # always
ANSWER_SECONDS: Final = 30.0
_POLL_SECONDS: Final = 0.02
_CLOSING_SECONDS: Final = 10.0


@dataclass(frozen=True, slots=True)
class Answer:
    """What a client of the graph gets; status 0: the connection ended, or nothing came, and `body` says which."""

    status: int
    body: bytes


@contextmanager
def router_on(graph_json: str, propagate: str | None = None) -> Iterator[Path]:
    """The router on a graph, `propagate` being its PROPAGATE_HEADERS; yields its log.

    Raises:
        ServerError: port 8080 is taken, or the router ended at its start; with its last words.
        PrerequisiteError: the router is not built.
    """
    server = Server(
        name="router",
        what="KServe InferenceGraph router",
        command=(str(router_binary()), "--graph-json", graph_json),
        ports=(Port(ROUTER_PORT, ""),),
        ready=lambda: http_ok(ROUTER_PORT, READINESS),
        environment={} if propagate is None else {"PROPAGATE_HEADERS": propagate},
        prepare=lambda: require_download(router_binary(), "KServe's router"),
        stop_signal=signal.SIGKILL,
        start_seconds=60,
    )
    check_ports(server)
    with tempfile.TemporaryDirectory(prefix="watchnext-graph-") as folder, guarded() as starter:
        instance = Instance(server, Path(folder))
        try:
            instance.spawn({**os.environ, STARTER_MARK: starter})
            began = time.monotonic()
            while not instance.is_ready(began):
                time.sleep(_POLL_SECONDS)
            yield instance.log
        finally:
            instance.stop()
            _wait_for_port()


def _wait_for_port() -> None:
    """A killed process closes its sockets when the last of its threads is gone, a moment after the first."""
    deadline = time.monotonic() + _CLOSING_SECONDS
    while not port_is_free(ROUTER_PORT) and time.monotonic() < deadline:
        time.sleep(_POLL_SECONDS)


def ask(body: bytes, headers: Mapping[str, str] | None = None, seconds: float = ANSWER_SECONDS) -> Answer:
    """Posts a request to the running router."""
    connection = http.client.HTTPConnection(LOOPBACK, ROUTER_PORT, timeout=seconds)
    try:
        connection.request("POST", "/", body, {"Content-Type": "application/json", **(headers or {})})
        response = connection.getresponse()
        return Answer(response.status, response.read())
    except TimeoutError:
        return Answer(0, f"no answer within {seconds:g} s".encode())
    except (http.client.RemoteDisconnected, ConnectionError):
        return Answer(0, b"the router closed the connection without an answer")
    finally:
        connection.close()
