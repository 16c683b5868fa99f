"""Conditions: a Switch tests the node's input, a step of a Sequence tests the previous answer."""

import json
from collections.abc import Iterator
from typing import Final

from watchnext.graph import gjson
from watchnext.graph.document import Graph, Node
from watchnext.graph.rules import Finding, Rule

FIRST_CONDITION: Final = Rule(
    "first-condition",
    "error",
    "A condition of a Sequence tests the previous answer, and the first step has none: 500 (invalid response), whether "
    "the request matches or not.",
    "A Switch tests the request: make one of the node, or put one before it.",
)
CONDITION_ENDS: Final = Rule(
    "condition-ends",
    "warning",
    "Where the previous answer does not match, the node ends there: no later step runs, and the answer goes out with "
    "200, even if it was an error.",
    "Make the step before Hard and the conditional step the node's last: what follows only then goes into a node of "
    "its own.",
)
NO_CONDITION: Final = Rule(
    "switch-no-condition",
    "error",
    "A Switch never chooses a step without a condition.",
    "condition: '@this' for the step that takes what is left.",
)
NO_CATCH_ALL: Final = Rule(
    "switch-no-catch-all",
    "warning",
    "A request that no condition matches is a 404, and a 500 where another node calls this one.",
    "Add a last step with condition: '@this', which exists in any JSON.",
)
UNREACHED_STEP: Final = Rule(
    "switch-unreached-step",
    "warning",
    "A Switch takes the first step whose condition holds: an earlier one holds whenever this one does.",
    "Put it before, or leave it out.",
)
RULES: Final = (FIRST_CONDITION, CONDITION_ENDS, NO_CONDITION, NO_CATCH_ALL, UNREACHED_STEP)


def check(graph: Graph) -> Iterator[Finding]:
    """The conditions of all Sequences and Switches."""
    for node in graph.nodes.values():
        if node.kind == "Sequence":
            yield from _check_sequence(node)
        if node.kind == "Switch":
            yield from _check_switch(node)


def _check_sequence(node: Node) -> Iterator[Finding]:
    for step in node.steps:
        if not step.condition:
            continue
        at, came = f"{step.at}.condition", json.dumps(step.condition)
        if step.index == 0:
            yield FIRST_CONDITION.at(at, came)
            continue
        if rule := gjson.flaw(step.condition):
            yield rule.at(at, came)
        before, later = node.steps[step.index - 1], node.steps[step.index + 1 :]
        if later or not before.hard:
            ends = f"; steps {', '.join(one.label for one in later)} come after" if later else ""
            soft = "" if before.hard else f"; step {before.label} is not Hard"
            yield CONDITION_ENDS.at(at, came + ends + soft)


def _check_switch(node: Node) -> Iterator[Finding]:
    above: list[str] = []
    for step in node.steps:
        at, came = f"{step.at}.condition", json.dumps(step.condition)
        if not step.condition:
            yield NO_CONDITION.at(at, f"step {step.label} without a condition")
            continue
        if rule := gjson.flaw(step.condition):
            yield rule.at(at, came)
        if step.condition in above or any(map(gjson.always_holds, above)):
            yield UNREACHED_STEP.at(at, f"{came} after {', '.join(map(json.dumps, above))}")
        above.append(step.condition)
    if node.steps and len(above) == len(node.steps) and not any(map(gjson.always_holds, above)):
        yield NO_CATCH_ALL.at(f"{node.at}.steps", f"conditions {', '.join(map(json.dumps, above))}")
