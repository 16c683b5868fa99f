"""Rows for each rule of the linter, by its module: what the router does with the graph, and once it is mended."""

from tests.services.graph_cases import conditions, flow, gjson, headers, shape, targets, timeouts, wiring

CASES = (
    *shape.CASES,
    *wiring.CASES,
    *targets.CASES,
    *flow.CASES,
    *conditions.CASES,
    *gjson.CASES,
    *timeouts.CASES,
    *headers.CASES,
)
