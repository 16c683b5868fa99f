"""What a rule of the linter says, and what it finds at a place of a graph.

>>> rule = Rule("no-root", "error", "Answers 500.", "Name the first node root.")
>>> rule.at("spec.nodes", "nodes main").severity
'error'
"""

from dataclasses import dataclass
from typing import Literal

Severity = Literal["error", "warning"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One problem of one graph."""

    rule: str
    severity: Severity
    path: str  # such as spec.nodes.root.steps[1].condition
    came: str
    router: str  # what the router, or the API server before it, does with it
    mend: str


@dataclass(frozen=True, slots=True)
class Rule:
    """An error is refused or breaks; a warning does something else than the graph seems to say."""

    name: str
    severity: Severity
    router: str
    mend: str

    def at(self, path: str, came: str) -> Finding:
        """This rule's finding at `path`."""
        return Finding(self.name, self.severity, path, came, self.router, self.mend)
