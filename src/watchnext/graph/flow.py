"""What passes from step to step: failures, data, and fields that a type of node does not read."""

import json
from collections.abc import Iterator, Mapping
from typing import Final

from watchnext.graph.document import Graph, Node, Step
from watchnext.graph.rules import Finding, Rule

SOFT_STEP: Final = Rule(
    "soft-step",
    "warning",
    "When this step fails, the Sequence goes on: a next step with data: $response gets the error's body, and the "
    "client gets the last step's status. Soft is the default.",
    "dependency: Hard, which ends the graph with this step's status and body.",
)
SOFT_ENSEMBLE_STEP: Final = Rule(
    "soft-ensemble-step",
    "warning",
    "When this step fails, its error stands under its name in an answer of 200; an error that is no JSON object is a "
    "500 for the graph. Soft is the default.",
    "dependency: Hard, which answers with the status and body of the failed step, and errors that are JSON objects.",
)
SOFT_TRANSPORT: Final = Rule(
    "soft-transport",
    "warning",
    "Soft forgives error statuses only: a refused connection or a time-out of the step is a 500 for the graph.",
    "Write Hard, which promises no more than that; a fallback belongs behind the step's URL.",
)
FIRST_RESPONSE: Final = Rule(
    "first-response",
    "warning",
    "There is no answer before the first step: it gets the node's input.",
    "Leave data out of the first step.",
)
DATA_BOTH: Final = Rule(
    "data-both",
    "error",
    "A step gets the node's input or the previous answer, never both: this word is neither, so it gets the input.",
    "data: $response, and let the step before put what is wanted of the request into its answer.",
)
DATA_WORD: Final = Rule(
    "data-word",
    "error",
    "Everything but exactly $response is the node's input, so the step gets that.",
    "data is $request or $response; no part of an answer can be named.",
)
ANSWER_DROPPED: Final = Rule(
    "answer-dropped",
    "warning",
    "The step gets the node's input again: the answer of the step before goes nowhere.",
    "data: $response; or data: $request, which says that this is meant.",
)
MAPS_INPUT: Final = Rule(
    "maps-input",
    "warning",
    "mapPredictionsToInstances maps what the step is sent: without data: $response that is the node's input, and the "
    "previous answer goes nowhere.",
    "Add data: $response.",
)
MAPS_ONLY: Final = Rule(
    "maps-only",
    "warning",
    'Where the body has predictions, the step is sent {"instances": predictions} and nothing else: all other fields '
    "are dropped, and whole numbers above 2^53 lose digits.",
    "Leave it out, and let the service before answer with instances, or this one read predictions.",
)
UNREAD_FIELD: Final = Rule(
    "unread-field",
    "warning",
    "A node of this type does not read the field.",
    "Leave it out, or give the node the type that reads it.",
)
RULES: Final = (
    SOFT_STEP,
    SOFT_ENSEMBLE_STEP,
    SOFT_TRANSPORT,
    FIRST_RESPONSE,
    DATA_BOTH,
    DATA_WORD,
    ANSWER_DROPPED,
    MAPS_INPUT,
    MAPS_ONLY,
    UNREAD_FIELD,
)
READ: Final[Mapping[str, frozenset[str]]] = {
    "Sequence": frozenset({"condition", "data", "dependency", "mapPredictionsToInstances"}),
    "Ensemble": frozenset({"dependency"}),
    "Splitter": frozenset({"weight"}),
    "Switch": frozenset({"condition"}),
}


def check(graph: Graph) -> Iterator[Finding]:
    """Steps of nodes whose type is known."""
    for node in graph.nodes.values():
        for step in node.steps if node.kind in READ else ():
            yield from _check_unread(node, step)
            yield from _check_failure(node, step)
            if node.kind == "Sequence":
                yield from _check_data(step)


def _check_unread(node: Node, step: Step) -> Iterator[Finding]:
    for field in sorted(step.given & frozenset().union(*READ.values()) - READ[node.kind]):
        yield UNREAD_FIELD.at(f"{step.at}.{field}", f"{field} of a step of a {node.kind}")


def _check_failure(node: Node, step: Step) -> Iterator[Finding]:
    if step.hard or node.kind not in ("Sequence", "Ensemble"):
        return
    came = f"dependency {step.dependency or 'left out'} of step {step.label}"
    if node.kind == "Ensemble":
        yield SOFT_ENSEMBLE_STEP.at(f"{step.at}.dependency", came)
    elif step.index + 1 < len(node.steps):
        yield SOFT_STEP.at(f"{step.at}.dependency", came)
    if step.dependency == "Soft":
        yield SOFT_TRANSPORT.at(f"{step.at}.dependency", came)


def _check_data(step: Step) -> Iterator[Finding]:
    if step.data not in ("", "$request", "$response"):
        both = "request" in step.data.lower() and "response" in step.data.lower()
        yield (DATA_BOTH if both else DATA_WORD).at(f"{step.at}.data", json.dumps(step.data))
    if step.index == 0 and step.data == "$response":
        yield FIRST_RESPONSE.at(f"{step.at}.data", json.dumps(step.data))
    if step.maps_predictions:
        rule = MAPS_INPUT if step.index > 0 and step.data != "$response" else MAPS_ONLY
        yield rule.at(f"{step.at}.mapPredictionsToInstances", f"true, data {step.data or 'left out'}")
    elif step.index > 0 and not step.data and not step.condition:
        yield ANSWER_DROPPED.at(f"{step.at}.data", f"data left out of step {step.label}")
