"""The pages of a process that has no HTTP of its own: `/metrics`, `/healthz` and `/readyz`.

The process tells its `Health` how it is; a thread answers whoever asks. `/healthz` says whether the process's loop
still turns, which a restart mends; what a backend does has no say in it. `/readyz` says whether it does its work, and
if not, why not.

>>> health = Health(alive_s=60)
>>> health.readyz()
(503, 'starting')
>>> health.ready("3 partitions")
>>> health.readyz()
(200, 'ready: 3 partitions')
>>> health.healthz()
(200, 'alive')
"""

import json
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from watchnext.errors import ServerError

Answer = tuple[int, str]

_OK: Final = HTTPStatus.OK.value
_NOT_OK: Final = HTTPStatus.SERVICE_UNAVAILABLE.value
_NOT_FOUND: Final = HTTPStatus.NOT_FOUND.value


class Health:
    """What a process says of itself. Written by its loop, read by the threads of `pages`."""

    def __init__(self, *, alive_s: float, monotonic: Callable[[], float] = time.monotonic) -> None:
        """A process that starts now, and whose loop never takes longer than `alive_s` for a turn unless it hangs."""
        self._alive_s = alive_s
        self._monotonic = monotonic
        self._beaten = monotonic()
        self._state: Answer = (_NOT_OK, "starting")

    def beat(self) -> None:
        """The loop turns."""
        self._beaten = self._monotonic()

    def ready(self, detail: str) -> None:
        """It does its work; the loop turns."""
        self._state = (_OK, f"ready: {detail}")
        self.beat()

    def waiting(self, reason: str) -> None:
        """It cannot do its work, for `reason`; the loop turns."""
        self._state = (_NOT_OK, reason)
        self.beat()

    def healthz(self) -> Answer:
        """Status and text: does the loop turn?"""
        silent_s = self._monotonic() - self._beaten
        if silent_s > self._alive_s:
            return _NOT_OK, f"the loop has not turned for {silent_s:.0f} s: it hangs"
        return _OK, "alive"

    def readyz(self) -> Answer:
        """Status and text: does it do its work?"""
        alive = self.healthz()
        return self._state if alive[0] == _OK else alive


class _Server(ThreadingHTTPServer):
    """Answers on a socket that listens already."""

    def __init__(self, listener: socket.socket, health: Health) -> None:
        super().__init__(listener.getsockname()[:2], _Pages, bind_and_activate=False)
        self.socket.close()
        self.socket = listener
        self.health = health

    def handle_error(self, request: Any, client_address: Any) -> None:
        """No traceback of a client that hung up, as probes and balancers do."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class _Pages(BaseHTTPRequestHandler):
    """One request."""

    server: _Server
    timeout = 10  # seconds for a client to send its request

    def do_GET(self) -> None:
        """The page, or 404."""
        path = self.path.partition("?")[0]
        if path == "/metrics":
            self._send(_OK, CONTENT_TYPE_LATEST, generate_latest())
        elif path == "/healthz":
            self._say(*self.server.health.healthz())
        elif path == "/readyz":
            self._say(*self.server.health.readyz())
        else:
            self._say(_NOT_FOUND, f"there is no {path}; there are /metrics, /healthz and /readyz")

    def log_message(self, *_: object) -> None:
        """No line a probe."""

    def _say(self, status: int, text: str) -> None:
        self._send(status, "application/json", json.dumps({"status": text}).encode())

    def _send(self, status: int, content_type: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("content-type", content_type)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def address(host: str, port: int) -> str:
    """Host and port as URLs and gRPC write them: IPv6 stands in brackets.

    >>> address("::1", 80)
    '[::1]:80'
    """
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def listen_on(host: str, port: int, setting: str) -> socket.socket:
    """A listening socket.

    Raises:
        ServerError: the port is in use, or the host is not ours; the message names the setting that moves it.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    both = family == socket.AF_INET6 and socket.has_dualstack_ipv6()  # "::" is IPv4 too, as for gRPC
    try:
        return socket.create_server((host, port), family=family, dualstack_ipv6=both)
    except OSError as error:
        reason = str(error.strerror).partition(" (while")[0]  # Python 3.11 appends the address
        raise ServerError(f"cannot listen on {address(host, port)}: {reason}; {setting} names another port") from error


@contextmanager
def pages(health: Health, *, host: str, port: int, setting: str) -> Iterator[None]:
    """Serve the three pages while the body runs.

    Raises:
        ServerError: as `listen_on`.
    """
    server = _Server(listen_on(host, port, setting), health)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.1}, name="pages", daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
