"""Fields of an InferenceGraph: those that its CustomResourceDefinition has, their types, their words."""

import difflib
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from watchnext.graph.document import Graph, below
from watchnext.graph.rules import Finding, Rule

UNKNOWN_FIELD: Final = Rule(
    "unknown-field",
    "error",
    "`kubectl apply` refuses the field, other clients drop it without a word; the router ignores it.",
    "Use the field's name as the InferenceGraph has it.",
)
WRONG_TYPE: Final = Rule(
    "wrong-type",
    "error",
    "The API server refuses the object; the router ends at its start.",
    "Give the type that came with the message: time-outs and weights are whole numbers without a unit.",
)
ROUTER_TYPE: Final = Rule(
    "router-type",
    "error",
    "The API server refuses the object; the router answers 500 (invalid route type) where it comes to the node.",
    "routerType is Sequence, Splitter, Ensemble or Switch, written so.",
)
DEPENDENCY_WORD: Final = Rule(
    "dependency-word",
    "error",
    "The API server refuses the object; the router takes every word but Hard for Soft.",
    "dependency is Hard or Soft, written so.",
)
SCALE_METRIC: Final = Rule(
    "scale-metric",
    "error",
    "The API server refuses the object; the router does not read the field.",
    "scaleMetric is cpu, memory, concurrency or rps.",
)
GRAPH_NAME: Final = Rule(
    "graph-name",
    "error",
    "KServe's webhook refuses the object; the router does not see the name.",
    "Lower case letters, digits and hyphens, first a letter, last no hyphen.",
)
RULES: Final = (UNKNOWN_FIELD, WRONG_TYPE, ROUTER_TYPE, DEPENDENCY_WORD, SCALE_METRIC, GRAPH_NAME)

Kind = type[str] | type[int] | type[bool] | type[dict[str, Any]] | type[list[Any]]
DOCUMENT_FIELDS: Final[Mapping[str, Kind]] = {
    "apiVersion": str,
    "kind": str,
    "metadata": dict,
    "spec": dict,
    "status": dict,
}
SPEC_FIELDS: Final[Mapping[str, Kind]] = {
    "affinity": dict,
    "maxReplicas": int,
    "minReplicas": int,
    "nodeName": str,
    "nodeSelector": dict,
    "nodes": dict,
    "resources": dict,
    "routerTimeouts": dict,
    "scaleMetric": str,
    "scaleTarget": int,
    "serviceAccountName": str,
    "timeout": int,
    "tolerations": list,
}
TIMEOUT_FIELDS: Final[Mapping[str, Kind]] = {
    "serverIdle": int,
    "serverRead": int,
    "serverWrite": int,
    "serviceClient": int,
}
NODE_FIELDS: Final[Mapping[str, Kind]] = {"routerType": str, "steps": list}
STEP_FIELDS: Final[Mapping[str, Kind]] = {
    "condition": str,
    "data": str,
    "dependency": str,
    "mapPredictionsToInstances": bool,
    "name": str,
    "nodeName": str,
    "serviceName": str,
    "serviceUrl": str,
    "weight": int,
}
ROUTER_TYPES: Final = ("Sequence", "Splitter", "Ensemble", "Switch")
DEPENDENCIES: Final = ("Hard", "Soft")
SCALE_METRICS: Final = ("cpu", "memory", "concurrency", "rps")
_NAME: Final = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")
_WORDS: Final = {str: "text", int: "a whole number", bool: "true or false", dict: "a mapping", list: "a list"}


def check(graph: Graph) -> Iterator[Finding]:
    """What the API server refuses before the router sees it."""
    if graph.whole:
        above = graph.at.removesuffix("spec")
        yield from _check_fields(graph.document, DOCUMENT_FIELDS, above)
        if not _NAME.fullmatch(graph.name):
            yield GRAPH_NAME.at(f"{above}metadata.name", json.dumps(graph.name))
    yield from _check_fields(graph.spec, SPEC_FIELDS, graph.at)
    yield from _check_fields(graph.spec.get("routerTimeouts"), TIMEOUT_FIELDS, below(graph.at, "routerTimeouts"))
    yield from _check_word(graph.spec, "scaleMetric", SCALE_METRICS, SCALE_METRIC, graph.at)
    yield from _check_nodes(graph.spec.get("nodes"), below(graph.at, "nodes"))


def _check_nodes(nodes: Any, at: str) -> Iterator[Finding]:
    for name, node in nodes.items() if isinstance(nodes, dict) else ():
        place = f"{at}.{name}"
        yield from _check_fields(node, NODE_FIELDS, place)
        if not isinstance(node, dict):
            continue
        yield from _check_word({"routerType": "", **node}, "routerType", ROUTER_TYPES, ROUTER_TYPE, place)
        steps = node.get("steps")
        for index, step in enumerate(steps if isinstance(steps, list) else ()):
            yield from _check_fields(step, STEP_FIELDS, f"{place}.steps[{index}]")
            if isinstance(step, dict):
                yield from _check_word(step, "dependency", DEPENDENCIES, DEPENDENCY_WORD, f"{place}.steps[{index}]")


def _check_fields(value: Any, fields: Mapping[str, Kind], at: str) -> Iterator[Finding]:
    if value is None:
        return
    if not isinstance(value, dict):
        yield WRONG_TYPE.at(at, f"{json.dumps(value)}; wanted {_WORDS[dict]}")
        return
    for name, entry in value.items():
        if name not in fields:
            yield UNKNOWN_FIELD.at(below(at, str(name)), _nearest(str(name), fields))
        elif entry is not None and not _fits(entry, fields[name]):
            yield WRONG_TYPE.at(below(at, name), f"{json.dumps(entry, default=str)}; wanted {_WORDS[fields[name]]}")


def _check_word(value: Mapping[str, Any], field: str, words: tuple[str, ...], rule: Rule, at: str) -> Iterator[Finding]:
    word = value.get(field)
    if isinstance(word, str) and word not in words:
        yield rule.at(below(at, field), f"{json.dumps(word)}; wanted one of {', '.join(words)}")


def _nearest(name: str, fields: Mapping[str, Kind]) -> str:
    lowered = {field.lower(): field for field in fields}
    near = difflib.get_close_matches(name.lower(), lowered, n=1, cutoff=0.5)
    return f"{name}; " + (f"did you mean {lowered[near[0]]}?" if near else f"there are {', '.join(fields)}")


def _fits(value: Any, kind: Kind) -> bool:
    return isinstance(value, kind) and not (kind is int and isinstance(value, bool))
