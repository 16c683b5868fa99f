"""Where steps post to, and how a Splitter shares the requests out."""

import json
import re
from collections.abc import Iterator
from typing import Final

from watchnext.graph.document import Graph, Node, Step
from watchnext.graph.rules import Finding, Rule

NO_TARGET: Final = Rule(
    "no-target",
    "error",
    "KServe's webhook refuses the object; the router posts to nowhere: 500 (unsupported protocol scheme).",
    "Give exactly one of nodeName, serviceName and serviceUrl.",
)
MANY_TARGETS: Final = Rule(
    "many-targets",
    "error",
    "KServe's webhook refuses the object; the router takes nodeName before serviceUrl, serviceUrl before serviceName.",
    "Give exactly one of nodeName, serviceName and serviceUrl.",
)
URL_NOT_ABSOLUTE: Final = Rule(
    "url-not-absolute",
    "error",
    "The router cannot post there: 500 for the graph, even where the step is Soft.",
    "http://HOST:PORT/PATH or https://HOST/PATH; the router speaks no gRPC.",
)
URL_WITHOUT_PATH: Final = Rule(
    "url-without-path",
    "warning",
    "The router posts to /, whatever path the client asked the graph for.",
    "Write the whole path, such as /v1/models/NAME:predict.",
)
NO_WEIGHT: Final = Rule(
    "no-weight",
    "error",
    "KServe's webhook refuses the object; the router panics on it and closes the connection without an answer.",
    "Give each step of a Splitter a weight, together 100.",
)
WEIGHTS_SUM: Final = Rule(
    "weights-sum",
    "error",
    "KServe's webhook refuses the object; below 100 the router answers 500 for the share that is missing, above 100 "
    "the last steps get less than their weight.",
    "Make the weights of the node 100 together.",
)
NEGATIVE_WEIGHT: Final = Rule(
    "negative-weight",
    "error",
    "KServe's webhook accepts it; the router never picks the step, and the shares of the others are not their weights.",
    "Weights are 0 to 100.",
)
RULES: Final = (
    NO_TARGET,
    MANY_TARGETS,
    URL_NOT_ABSOLUTE,
    URL_WITHOUT_PATH,
    NO_WEIGHT,
    WEIGHTS_SUM,
    NEGATIVE_WEIGHT,
)
# Stricter than Go's url.Parse in nothing that a client can then reach, and it reads no escapes in a query.
_ABSOLUTE: Final = re.compile(
    r"(?i)https?://([a-z0-9_.~!$&'()*+,;=:%@-]*@)?"
    r"(\[[0-9a-f.]*:[0-9a-f:.]*(%25[a-z0-9_.~-]+)?]|(%[89a-f][0-9a-f]|[^\s/?#:@\[\]{}<>\"^`|\\%])+)"
    r"(:[0-9]*)?(?P<rest>([/?#].*)?)"
)
_WRONG_ESCAPE: Final = re.compile(r"[\x00-\x1f\x7f]|(^[^?#]*|#.*)%(?![0-9a-fA-F]{2})")


def check(graph: Graph) -> Iterator[Finding]:
    """Targets of all steps, weights of all Splitters."""
    for step in graph.steps:
        yield from _check_target(step)
    for node in graph.nodes.values():
        if node.kind == "Splitter":
            yield from _check_weights(node)


def _check_target(step: Step) -> Iterator[Finding]:
    targets = {"nodeName": step.node_name, "serviceName": step.service_name, "serviceUrl": step.service_url}
    given = [field for field, value in targets.items() if value]
    if not given:
        yield NO_TARGET.at(step.at, f"step {step.label} without a target")
    elif len(given) > 1:
        yield MANY_TARGETS.at(step.at, f"{' and '.join(given)} of step {step.label}")
    elif step.service_url:
        url = _ABSOLUTE.fullmatch(step.service_url)
        if url is None or _WRONG_ESCAPE.search(step.service_url):
            yield URL_NOT_ABSOLUTE.at(f"{step.at}.serviceUrl", json.dumps(step.service_url))
        elif re.match(r"/?([?#]|$)", url["rest"]):
            yield URL_WITHOUT_PATH.at(f"{step.at}.serviceUrl", json.dumps(step.service_url))


def _check_weights(node: Node) -> Iterator[Finding]:
    weights = [step.weight for step in node.steps]
    for step in node.steps:
        if step.weight is None:
            yield NO_WEIGHT.at(f"{step.at}.weight", f"step {step.label} without a weight")
        elif step.weight < 0:
            yield NEGATIVE_WEIGHT.at(f"{step.at}.weight", str(step.weight))
    total = sum(weight or 0 for weight in weights)
    if None not in weights and total != 100:
        yield WEIGHTS_SUM.at(f"{node.at}.steps", f"weights {', '.join(map(str, weights)) or 'of no step'}: {total}")
