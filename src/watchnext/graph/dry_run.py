"""A graph in the real router with a stub for each step: which steps are called, with what, and what the client gets."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from watchnext.errors import UsageError
from watchnext.graph.document import ROOT, Graph, Step
from watchnext.graph.router_run import Answer, ask, router_on
from watchnext.graph.stubs import Hop, Reply, Stub, stub_servers
from watchnext.graph.wiring import ENDLESS_CYCLE, check, reachable

DOWN: Final = "down"  # instead of a file: nobody listens there


@dataclass(frozen=True, slots=True)
class DryRun:
    """The calls of the steps, in the order of their answers, and the graph's answer."""

    hops: tuple[Hop, ...]
    answer: Answer


def dry_run(graph: Graph, stubs: Mapping[str, Stub | None], request: bytes, propagate: str | None = None) -> DryRun:
    """Sends one request through the graph.

    Args:
        graph: its document; errors that `lint` finds are no hindrance, but for rounds without an end.
        stubs: what each step that root reaches answers, by the step's label (see `labels`); none for one that is down.
        request: the body.
        propagate: PROPAGATE_HEADERS of the router.

    Raises:
        UsageError: a step has no stub, a stub no step, or the graph goes round without an end.
        ServerError: port 8080 is taken, or the router does not start on the graph.
    """
    for finding in check(graph):
        if finding.rule == ENDLESS_CYCLE.name:
            raise UsageError(f"{finding.path}: {finding.came} goes round without an end. {finding.mend}")
    steps = labels(graph)
    if missing := [name for name in steps if name not in stubs]:
        raise UsageError(f"no stub for {', '.join(missing)}: add " + " ".join(f"--stub {one}=FILE" for one in missing))
    if unknown := [name for name in stubs if name not in steps]:
        raise UsageError(f"the graph has no step {', '.join(unknown)}; it calls {', '.join(steps) or 'none'}")
    with stub_servers(stubs) as (addresses, hops):
        spec = with_addresses(graph, {steps[name].at: f"{address}/" for name, address in addresses.items()})
        with router_on(json.dumps(spec), propagate):
            return DryRun(answer=ask(request), hops=tuple(hops))


def labels(graph: Graph) -> dict[str, Step]:
    """The steps that root reaches and that call a service, by name; by node[index] where that is not unique."""
    reached = reachable(graph.nodes, ROOT)
    steps = [step for step in graph.steps if step.node in reached and not step.node_name]
    places = [f"{step.node}[{step.index}]" for step in steps]
    taken = [*places, *(step.name for step in steps)]
    return {
        step.name if step.name and taken.count(step.name) == 1 else place: step
        for step, place in zip(steps, places, strict=True)
    }


def with_addresses(graph: Graph, addresses: Mapping[str, str]) -> dict[str, Any]:
    """The graph's spec, steps (by path) posting to other addresses."""
    spec: dict[str, Any] = json.loads(json.dumps(graph.spec))
    for step in graph.steps:
        steps = spec["nodes"][step.node]["steps"]
        if step.at in addresses and isinstance(steps[step.index], dict | None):  # the router ends on another
            steps[step.index] = {**(steps[step.index] or {}), "serviceUrl": addresses[step.at]}
    return spec


def read_stubs(words: Sequence[str]) -> dict[str, Stub | None]:
    """Stubs from the command line: `STEP=FILE` (200), `STEP=FILE:503`, `STEP=down`.

    Raises:
        UsageError: a word is not of that form, or its file cannot be read.
    """
    stubs: dict[str, Stub | None] = {}
    for word in words:
        step, equals, answer = word.partition("=")
        if not step or not equals or not answer:
            raise UsageError(f"--stub {word!r} came; wanted STEP=FILE, STEP=FILE:STATUS or STEP={DOWN}")
        stubs[step] = None if answer == DOWN else _stub(answer)
    return stubs


def _stub(answer: str) -> Stub:
    name, _, status = answer.rpartition(":")
    if not (name and re.fullmatch("[0-9]{1,9}", status)):
        name, status = answer, "200"
    if not 200 <= int(status) <= 599:
        raise UsageError(f"--stub with status {status} came; wanted 200 to 599")
    reply = Reply(int(status), read_body(Path(name)))
    return lambda _body, _headers: reply


def read_body(file: Path) -> bytes:
    """A file's bytes.

    Raises:
        UsageError: it cannot be read.
    """
    try:
        return file.read_bytes()
    except OSError as error:
        raise UsageError(f"{file} cannot be read: {error.strerror}") from error
    except ValueError as error:  # a name that no file can have
        raise UsageError(f"{str(file)!r} cannot be read: {error}") from error
