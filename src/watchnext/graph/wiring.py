"""How nodes hang together: the root, steps that call nodes, rounds, names of steps."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Final

from watchnext.graph.document import ROOT, Graph, Node, Step, below
from watchnext.graph.rules import Finding, Rule

NO_ROOT: Final = Rule(
    "no-root",
    "error",
    "KServe's webhook refuses the object; the router answers 500 (invalid route type).",
    "Call the node where requests come in root.",
)
NO_STEPS: Final = Rule(
    "no-steps",
    "error",
    "A Sequence without steps closes the connection without an answer, a Switch answers 404, an Ensemble 200 with {}.",
    "Give the node a step, or leave it out.",
)
NO_SUCH_NODE: Final = Rule(
    "no-such-node",
    "error",
    "KServe's webhook accepts it; the router answers 500 (invalid route type) when it comes to the step.",
    "Name a node of the graph.",
)
UNREACHED_NODE: Final = Rule(
    "unreached-node",
    "warning",
    "The router never calls the node.",
    "Name it as nodeName of a step that root reaches, or leave it out.",
)
ENDLESS_CYCLE: Final = Rule(
    "endless-cycle",
    "error",
    "The node calls itself again, always: round after round until a Hard step fails, or "
    "the router's stack or memory is full and its process ends.",
    "Take the step out, or give it a condition that one day finds nothing.",
)
CYCLE: Final = Rule(
    "cycle",
    "warning",
    "The node calls itself again while its condition holds; nothing limits the rounds.",
    "See that the answers end it: a loop in a service can count, the graph cannot.",
)
DUPLICATE_STEP: Final = Rule(
    "duplicate-step",
    "error",
    "KServe's webhook refuses the object; an Ensemble keeps the later answer only.",
    "Give each step of a node a name of its own.",
)
ENSEMBLE_KEY: Final = Rule(
    "ensemble-key",
    "error",
    "A step without a name answers under its index; one that is named with that number overwrites it, or "
    "is overwritten.",
    "Name all steps of the Ensemble.",
)
RULES: Final = (
    NO_ROOT,
    NO_STEPS,
    NO_SUCH_NODE,
    UNREACHED_NODE,
    ENDLESS_CYCLE,
    CYCLE,
    DUPLICATE_STEP,
    ENSEMBLE_KEY,
)


def check(graph: Graph) -> Iterator[Finding]:
    """Nodes and the edges between them."""
    nodes = graph.nodes
    if ROOT not in nodes:
        yield NO_ROOT.at(below(graph.at, "nodes"), f"nodes {', '.join(nodes)}" if nodes else "no nodes")
    reached = reachable(nodes, ROOT)
    for node in nodes.values():
        if not node.steps:
            yield NO_STEPS.at(f"{node.at}.steps", f"a {node.kind or 'node'} without steps")
        if node.name not in reached and ROOT in nodes:
            yield UNREACHED_NODE.at(node.at, f"no way from {ROOT} to it")
        yield from _check_names(node)
    for step in graph.steps:
        if step.node_name and step.node_name not in nodes:
            yield NO_SUCH_NODE.at(f"{step.at}.nodeName", f"{json.dumps(step.node_name)}; there are {', '.join(nodes)}")
    yield from _check_rounds(nodes)


def reachable(nodes: Mapping[str, Node], start: str, *, always: bool = False) -> set[str]:
    """The nodes that a request at `start` may come to, itself among them; `always`: must come to, if no step fails."""
    found: set[str] = set()
    waiting = [start]
    while waiting:
        name = waiting.pop()
        if name in nodes and name not in found:
            found.add(name)
            waiting += [
                step.node_name for step in nodes[name].steps if not always or _is_always_taken(nodes[name], step)
            ]
    return found


def walk(nodes: Mapping[str, Node], start: str) -> tuple[list[str], list[tuple[Step, tuple[str, ...]]]]:
    """The nodes that `start` leads to, each once, after those that its steps name; the steps back, with their rounds.

    A step back names a node above its own. No recursion, for a graph may be deeper than Python's stack.
    """
    done: dict[str, None] = {}
    rounds = []
    way = {start: iter(nodes[start].steps)} if start in nodes else {}  # the nodes above, with their steps to come
    while way:
        name, steps = next(reversed(way.items()))
        step = next(steps, None)
        if step is None:
            done[name] = None
            way.popitem()
        elif step.node_name in way:
            above = list(way)
            rounds.append((step, (*above[above.index(step.node_name) :], step.node_name)))
        elif step.node_name in nodes and step.node_name not in done:
            way[step.node_name] = iter(nodes[step.node_name].steps)
    return list(done), rounds


def _check_rounds(nodes: Mapping[str, Node]) -> Iterator[Finding]:
    """The steps that lead back to a node above: without them the graph would have no round."""
    for step, names in walk(nodes, ROOT)[1]:
        always = _is_always_taken(nodes[step.node], step)
        endless = always and step.node in reachable(nodes, step.node_name, always=True)
        yield (ENDLESS_CYCLE if endless else CYCLE).at(f"{step.at}.nodeName", " → ".join(names))


def _is_always_taken(node: Node, step: Step) -> bool:
    if node.kind == "Sequence":
        return not any(one.condition for one in node.steps[: step.index + 1])
    return node.kind == "Ensemble" or (node.kind == "Splitter" and (step.weight or 0) >= 100)


def _check_names(node: Node) -> Iterator[Finding]:
    names = Counter(step.name for step in node.steps if step.name)
    for name, count in names.items():
        if count > 1:
            yield DUPLICATE_STEP.at(f"{node.at}.steps", f"{count} steps named {json.dumps(name)}")
    for step in node.steps if node.kind == "Ensemble" else ():
        if not step.name and str(step.index) in names:
            yield ENSEMBLE_KEY.at(step.at, f"a step named {json.dumps(str(step.index))} beside this one without a name")
