"""Time-outs of the router: the only ones that a graph has."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from watchnext.graph.document import ROOT, Graph, Node, below
from watchnext.graph.rules import Finding, Rule
from watchnext.graph.wiring import walk

NO_CLIENT_TIMEOUT: Final = Rule(
    "no-client-timeout",
    "warning",
    "The router waits for a step without end, and the client with it.",
    "routerTimeouts.serviceClient: whole seconds, 1 or more; a step that takes longer is a 500 for the graph.",
)
WRITE_TIMEOUT: Final = Rule(
    "write-timeout",
    "warning",
    "Where the steps take longer than serverWrite (60 s where it is left out), the router throws the answer away and "
    "closes the connection.",
    "Make serverWrite longer than serviceClient times the steps that run one after the other.",
)
TIMEOUT_UNREAD: Final = Rule(
    "timeout-unread",
    "warning",
    "The router does not read spec.timeout; Knative's revision does, a plain Deployment does not.",
    "routerTimeouts.serviceClient limits each step.",
)
RULES: Final = (NO_CLIENT_TIMEOUT, WRITE_TIMEOUT, TIMEOUT_UNREAD)
SERVER_WRITE: Final = 60


def check(graph: Graph) -> Iterator[Finding]:
    """`routerTimeouts` and `timeout` of the spec."""
    at = below(graph.at, "routerTimeouts")
    timeouts = graph.spec.get("routerTimeouts")
    client = _seconds(timeouts, "serviceClient")
    if client is None or client < 1:
        yield NO_CLIENT_TIMEOUT.at(f"{at}.serviceClient", "left out" if client is None else f"{client} s")
    else:
        given = _seconds(timeouts, "serverWrite")
        write = SERVER_WRITE if given is None else given
        calls = longest_row(graph.nodes, ROOT)
        if 0 < write <= client * calls:
            came = f"serviceClient {client} s times {calls} steps in a row; serverWrite {write} s"
            yield WRITE_TIMEOUT.at(f"{at}.serverWrite", came)
    if graph.spec.get("timeout") is not None:
        yield TIMEOUT_UNREAD.at(below(graph.at, "timeout"), str(graph.spec["timeout"]))


def longest_row(nodes: Mapping[str, Node], start: str) -> int:
    """The most services that one request calls one after the other; a step that leads back above counts nothing."""
    longest: dict[str, int] = {}
    for name in walk(nodes, start)[0]:
        rows = [longest.get(step.node_name, 0) if step.node_name else 1 for step in nodes[name].steps]
        longest[name] = sum(rows) if nodes[name].kind == "Sequence" else max(rows, default=0)
    return longest.get(start, 0)


def _seconds(timeouts: Any, field: str) -> int | None:
    value = timeouts.get(field) if isinstance(timeouts, dict) else None
    return value if isinstance(value, int) and not isinstance(value, bool) else None
