"""Servers on loopback that stand for the steps of a graph and write down what they were sent."""

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from watchnext.local.probes import LOOPBACK


@dataclass(frozen=True, slots=True)
class Reply:
    """What a stub answers."""

    status: int = 200
    body: bytes = b"{}"
    encoding: str = ""  # such as gzip


@dataclass(frozen=True, slots=True)
class Hop:
    """One call of a step, in the order of the answers."""

    step: str
    path: str
    received: bytes
    headers: Mapping[str, str]
    reply: Reply


Stub = Callable[[bytes, Mapping[str, str]], Reply]  # of a request's body and headers


@contextmanager
def stub_servers(stubs: Mapping[str, Stub | None]) -> Iterator[tuple[dict[str, str], list[Hop]]]:
    """The address of each step's stub, and the calls so far; nobody listens at the address of a step without a stub."""
    hops: list[Hop] = []
    with ExitStack() as open_servers:
        addresses = {}
        for step, stub in stubs.items():
            server = ThreadingHTTPServer((LOOPBACK, 0), _handler(step, stub, hops), bind_and_activate=False)
            server.daemon_threads = True
            open_servers.callback(server.server_close)
            server.server_bind()
            addresses[step] = f"http://{LOOPBACK}:{server.server_port}"
            if stub is not None:
                server.server_activate()
                threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
                open_servers.callback(server.shutdown)
        yield addresses, hops


def _handler(step: str, stub: Stub | None, hops: list[Hop]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1  # head and body in one packet

        def do_POST(self) -> None:
            assert stub is not None
            received, headers = self.rfile.read(int(self.headers["Content-Length"])), dict(self.headers)
            reply = stub(received, headers)
            hops.append(Hop(step, self.path, received, headers, reply))
            self.send_response(reply.status)
            self.send_header("Content-Type", "application/json")
            if reply.encoding:
                self.send_header("Content-Encoding", reply.encoding)
            self.send_header("Content-Length", str(len(reply.body)))
            self.end_headers()
            self.wfile.write(reply.body)

        def log_message(self, *_: Any) -> None:
            """Nothing: the hops are the log."""

    return Handler
