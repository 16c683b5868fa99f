"""All rules on all graphs of a file: `lint_file(Path("graph.yaml"))`."""

from pathlib import Path
from typing import Final

from watchnext.graph import conditions, flow, gjson, headers, shape, targets, timeouts, wiring
from watchnext.graph.document import Manifests, read
from watchnext.graph.rules import Finding, Rule

RULES: Final[tuple[Rule, ...]] = (
    *shape.RULES,
    *wiring.RULES,
    *targets.RULES,
    *flow.RULES,
    *conditions.RULES,
    *gjson.RULES,
    *timeouts.RULES,
    *headers.RULES,
)


def lint_file(file: Path, header_patterns: tuple[str, ...] = ()) -> list[Finding]:
    """What the router will do with the graphs of `file`, errors first.

    Args:
        file: see `document`.
        header_patterns: what PROPAGATE_HEADERS lists, besides what a ConfigMap in the file says.

    Raises:
        UsageError: the file holds no graph.
    """
    manifests = read(file)
    given = [(f"PROPAGATE_HEADERS[{number}]", pattern) for number, pattern in enumerate(header_patterns)]
    return lint(Manifests(manifests.graphs, (*manifests.header_patterns, *given)))


def lint(manifests: Manifests) -> list[Finding]:
    """The findings, errors first, each once."""
    parts = (shape, wiring, targets, flow, conditions, timeouts)
    found = [finding for graph in manifests.graphs for part in parts for finding in part.check(graph)]
    found += headers.check(manifests.header_patterns)
    return sorted(dict.fromkeys(found), key=lambda finding: finding.severity != "error")
