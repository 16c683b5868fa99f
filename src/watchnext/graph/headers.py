"""Patterns of the headers that the router hands to the steps (PROPAGATE_HEADERS): Go's regular expressions.

They stand in the ConfigMap of KServe's operator, for all graphs of a cluster, not in a graph. The router splits them at
commas, and looks for each anywhere in a header's name, which it knows in Go's spelling: X-Request-Id.
"""

import json
import re
from collections.abc import Iterable, Iterator
from typing import Final

import re2

from watchnext.graph.rules import Finding, Rule

HEADER_PATTERN: Final = Rule(
    "header-pattern",
    "error",
    "The router logs that the pattern does not compile and does without it: its headers reach no step.",
    "Write a regular expression of Go: .* where a glob has *, no look-around, no back-reference.",
)
HEADER_EMPTY: Final = Rule(
    "header-empty",
    "warning",
    "The router takes an empty list for an empty pattern, which every header matches: all go to all steps, credentials "
    "among them.",
    "Leave propagate out of the ConfigMap where no header shall be handed on.",
)
HEADER_COMMA: Final = Rule(
    "header-comma",
    "error",
    "The router splits the patterns at commas: it tries each part as a pattern of its own.",
    "Write it without a comma, as two patterns if need be.",
)
HEADER_CASE: Final = Rule(
    "header-case",
    "warning",
    "The router compares with Go's spelling of names, X-Request-Id whatever the client wrote: spelled like "
    "this, the pattern does not match that header.",
    "Begin the pattern with (?i), or spell it as Go does.",
)
HEADER_ENCODING: Final = Rule(
    "header-encoding",
    "warning",
    "The pattern matches Accept-Encoding: a step may then answer compressed, and the router hands the bytes on without "
    "Content-Encoding, to the next step and to the client.",
    "Name the headers that the steps want.",
)
RULES: Final = (HEADER_PATTERN, HEADER_EMPTY, HEADER_COMMA, HEADER_CASE, HEADER_ENCODING)
_LITERAL_START: Final = re.compile(r"\^?([A-Za-z0-9-]+)(?![?*{])")


def check(patterns: Iterable[tuple[str, str]]) -> Iterator[Finding]:
    """Patterns, each with the path where it stands."""
    for path, pattern in patterns:
        came = json.dumps(pattern)
        if not pattern:
            yield HEADER_EMPTY.at(path, came)
        elif "," in pattern:
            yield HEADER_COMMA.at(path, came)
        elif flaw := why_not(pattern):
            yield HEADER_PATTERN.at(path, f"{came}: {flaw}")
        elif (start := _LITERAL_START.match(pattern)) and start[1] != go_spelling(start[1]):
            yield HEADER_CASE.at(path, f"{came}; Go spells {go_spelling(start[1])}")
        elif re2.search(pattern, "Accept-Encoding"):
            yield HEADER_ENCODING.at(path, came)


def why_not(pattern: str) -> str:
    r"""Why Go does not compile a regular expression, empty where it does. RE2 is Go's syntax, but for \C."""
    options = re2.Options()
    options.log_errors = False
    try:
        re2.compile(pattern, options)
    except re2.error as error:
        (reason,) = error.args
        return reason.decode() if isinstance(reason, bytes) else str(reason)
    except UnicodeEncodeError:  # bytes of a shell, or half a pair of surrogates in the ConfigMap's JSON
        return "invalid UTF-8"
    return "invalid escape sequence: \\C" if re.search(r"(?<!\\)(\\\\)*\\C", pattern) else ""


def go_spelling(name: str) -> str:
    """A header's name as Go keeps it.

    >>> go_spelling("x-request-ID")
    'X-Request-Id'
    """
    return "-".join(part.capitalize() for part in name.split("-"))
