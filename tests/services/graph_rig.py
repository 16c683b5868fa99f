"""A graph, the stubs of its steps and what a client and the steps must see: the rows of `test_graph_router`."""

import gzip
import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import chain, repeat
from typing import Any

from watchnext.graph.router_run import Answer, ask, router_on
from watchnext.graph.stubs import Hop, Reply, Stub, stub_servers

FAILED = "Failed to process request"
CLOSED = b"the router closed the connection without an answer"
ERROR = {"error": "no"}


@dataclass(frozen=True, kw_only=True)
class Trial:
    """One graph in the router. Hosts NAME.test stand for the addresses of stubs."""

    nodes: Mapping[str, Any]
    stubs: Mapping[str, Stub | None] = field(default_factory=dict)
    request: Any = field(default_factory=lambda: {"user": 1})
    status: int = 200  # 0: no answer
    answer: Any = None  # the whole body, as JSON
    cause: str | None = None  # part of the cause of an error of the router itself
    raw: bytes | None = None  # the body's bytes
    sent: list[tuple[str, Any]] | None = None  # steps that are called, with the bodies that they get
    times: int = 1  # requests, all answered alike
    seconds: float = 30.0  # of patience
    spec: Mapping[str, Any] = field(default_factory=dict)  # besides the nodes
    name: str = "graph"
    patterns: tuple[str, ...] | None = None  # PROPAGATE_HEADERS
    headers: Mapping[str, str] = field(default_factory=dict)  # of the request
    passed: Mapping[str, str | None] = field(default_factory=dict)  # headers that the first step gets; None: does not
    path: str | None = None  # that the first step is asked for
    starts: bool = True  # does the router?

    @property
    def document(self) -> dict[str, Any]:
        spec = {"nodes": self.nodes, "routerTimeouts": {"serviceClient": 10}, **self.spec}
        return {
            "apiVersion": "serving.kserve.io/v1alpha1",
            "kind": "InferenceGraph",
            "metadata": {"name": self.name},
            "spec": {key: value for key, value in spec.items() if value is not None},
        }

    @contextmanager
    def running(self) -> Iterator[list[Hop]]:
        """The router on this graph; yields the calls of its steps."""
        with stub_servers(self.stubs) as (addresses, hops):
            spec = json.dumps(self.document["spec"])
            for name, address in addresses.items():
                spec = spec.replace(f"//{name}.test", address.removeprefix("http:"))
            with router_on(spec, None if self.patterns is None else ",".join(self.patterns)):
                yield hops

    def check(self) -> None:
        """Runs it; the answer and the calls are as the row says."""
        with self.running() as hops:
            for _ in range(self.times):
                hops.clear()
                began = time.monotonic()
                answer = ask(json.dumps(self.request).encode(), self.headers, self.seconds)
                assert answer.status == self.status, answer.body
                self._check_body(answer)
                assert time.monotonic() - began < self.seconds + 10
                if self.sent is not None:
                    assert [(hop.step, json.loads(hop.received)) for hop in hops] == self.sent
                if self.path is not None:
                    assert hops[0].path == self.path
                for name, value in self.passed.items():
                    assert hops[0].headers.get(name) == value

    def _check_body(self, answer: Answer) -> None:
        if self.cause is not None:
            said = json.loads(answer.body)
            assert said["error"] == FAILED
            assert self.cause in said["cause"]
        elif self.raw is not None:
            assert answer.body == self.raw
        else:
            assert json.loads(answer.body) == self.answer


@dataclass(frozen=True)
class Case:
    """A rule, a graph that breaks it, and the graph as its message mends it."""

    rule: str
    what: str
    broken: Trial
    mended: Trial


def node(kind: str, *steps: Mapping[str, Any]) -> dict[str, Any]:
    return {"routerType": kind, "steps": list(steps)}


def step(name: str, **fields: Any) -> dict[str, Any]:
    """A step that posts to its stub, or to a node where `nodeName` says so."""
    target = {} if "nodeName" in fields else {"serviceUrl": f"http://{name}.test/v1/models/{name}:predict"}
    return {"name": name, **target, **fields}


def hard(name: str, **fields: Any) -> dict[str, Any]:
    return step(name, dependency="Hard", **fields)


def says(body: Any, status: int = 200) -> Stub:
    """Always the same answer; bytes as they are."""
    reply = Reply(status, body if isinstance(body, bytes) else json.dumps(body).encode())
    return lambda _body, _headers: reply


def in_turn(*bodies: Any, last: Stub) -> Stub:
    """One answer after the other, then always as `last`."""
    replies = chain((says(body) for body in bodies), repeat(last))
    return lambda body, headers: next(replies)(body, headers)


def slow(seconds: float, body: Any) -> Stub:
    def answer(received: bytes, headers: Mapping[str, str]) -> Reply:
        time.sleep(seconds)
        return says(body)(received, headers)

    return answer


def zips(body: Any) -> Stub:
    """Compresses where it is asked to."""
    plain = json.dumps(body).encode()

    def answer(_: bytes, headers: Mapping[str, str]) -> Reply:
        asked = "gzip" in headers.get("Accept-Encoding", "")
        return Reply(200, gzip.compress(plain, mtime=0), "gzip") if asked else Reply(200, plain)

    return answer


FAILS = says(ERROR, 503)
