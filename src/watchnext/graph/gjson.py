r"""Paths of gjson, in which conditions are written: what is wrong with one, as far as it can be told without a body.

A condition holds where the path exists, whatever its value. Nothing is refused: what gjson cannot read as a path it
takes for a key's name, which no body has.

>>> flaw("$.user.age").name, flaw("user.age>5").name, flaw("[@this].#(user_id==1)")
('jsonpath', 'bare-comparison', None)
"""

import re
from collections.abc import Iterator
from typing import Final

from watchnext.graph.rules import Rule

JSONPATH: Final = Rule(
    "jsonpath",
    "error",
    "gjson knows no JSONPath: it takes $, an empty part, a[0], a[?(…)] and -1 for keys of these names, so the "
    "condition never holds.",
    'gjson\'s own: a.0.b for a[0].b, items.#(vip==true) for items[?(@.vip == true)], no "$." in front.',
)
BARE_COMPARISON: Final = Rule(
    "bare-comparison",
    "error",
    "gjson compares inside #(…) of a list only: elsewhere the comparison is part of a key's name, so the condition "
    "never holds.",
    'Make the body a list of one: [@this].#(user_id==1) for user_id == 1; texts in quotes: #(kind=="new").',
)
ALWAYS_TRUE: Final = Rule(
    "always-true",
    "error",
    "The path exists whether or not anything matches, since it makes a value: {…} and […] an object or a list, #(…)# "
    "and #.a a list that may be empty, !… a constant.",
    "#(…) without the second # for a match; @this where the condition shall always hold.",
)
UNBALANCED: Final = Rule(
    "unbalanced-query",
    "error",
    "gjson gives up on a query whose bracket does not close: the condition never holds.",
    "Close each bracket and quote.",
)
UNKNOWN_MODIFIER: Final = Rule(
    "unknown-modifier",
    "error",
    "gjson takes a modifier that it does not have for a key of that name: the condition never holds.",
    "gjson has @this, @valid, @keys, @values, @reverse, @flatten, @join, @tostr, @fromstr, @group, @dig, @ugly "
    "and @pretty.",
)
RULES: Final = (JSONPATH, BARE_COMPARISON, ALWAYS_TRUE, UNBALANCED, UNKNOWN_MODIFIER)
EVERYTHING: Final = ("@this", "@valid", "@ugly", "@pretty")  # exist in any JSON
_MODIFIERS: Final = re.compile(r"@(\w+)")
_KNOWN: Final = frozenset(re.findall(r"@(\w+)", UNKNOWN_MODIFIER.mend))
_CLOSING: Final = {"(": ")", "[": "]", "{": "}"}


def always_holds(path: str) -> bool:
    """Does the condition hold for any JSON?"""
    return path in EVERYTHING or (path[:1] in ("{", "[", "!") and flaw(path) is ALWAYS_TRUE)


def flaw(path: str) -> Rule | None:
    """The rule that a path breaks, if any."""
    if path[:1] in ("{", "["):
        end = _closing_bracket(path, 0)
        if end is None:
            return UNBALANCED
        rest = path[end + 1 :]
        if not rest:
            return ALWAYS_TRUE
        return flaw(rest[1:]) if rest[0] in ".|" else JSONPATH
    if path[:1] == "!":
        return ALWAYS_TRUE
    parts = list(_parts(path))
    for number, (part, separator) in enumerate(parts):
        later = parts[number + 1 :]
        if number and part[:1] in ("{", "[") and _closing_bracket(part, 0) == len(part) - 1:
            if not later:  # deeper down it stands on whether there is something above it
                return ALWAYS_TRUE if number == 1 else None
            if part[0] == "{" or re.fullmatch(r"\d+|[#@].*", later[0][0]):
                continue
        signs = zip((separator, *(sign for _, sign in later)), (after for after, _ in later), strict=False)
        picked = any(sign == "|" and after != "#" and not after.startswith("@") for sign, after in signs)
        if wrong := _flaw_of_part(part, separator, picked=picked):
            return wrong
    return None


def _flaw_of_part(part: str, separator: str, *, picked: bool) -> Rule | None:
    """`separator` is the sign after the part: a dot looks into each element of a list, a pipe into the list.

    `picked`: a later pipe takes an element out of what the part makes, which may be none.
    """
    if part.startswith(("#(", "#[")):
        if _closing_bracket(part, 1) is None:
            return UNBALANCED
        if "(@." in part or "?(" in part:
            return JSONPATH
        return ALWAYS_TRUE if part.endswith("#") and not picked else None
    if part == "#":
        return ALWAYS_TRUE if separator == "." and not picked else None
    if part.startswith("@"):
        name = _MODIFIERS.match(part)
        return None if name and name[1] in _KNOWN else UNKNOWN_MODIFIER
    plain = re.sub(r"\\.", "", part)
    if not part or part == "$" or part[0] == "$" or "[" in plain or re.fullmatch(r"-\d+", part):
        return JSONPATH
    return BARE_COMPARISON if re.search(r"[=<>]", plain) else None


def _parts(path: str) -> Iterator[tuple[str, str]]:
    """The parts of a path, each with the dot or pipe after it; brackets and quotes hold theirs together."""
    start = at = 0
    while at < len(path):
        if path[at] == "\\":
            at += 1
        elif path[at] in _CLOSING or path[at] == '"':
            end = _closing_bracket(path, at) if path[at] in _CLOSING else _closing_quote(path, at)
            at = len(path) if end is None else end
        elif path[at] in ".|":
            yield path[start:at], path[at]
            start = at + 1
        at += 1
    yield path[start:], ""


def _closing_bracket(path: str, at: int) -> int | None:
    """Where the bracket at `at` closes."""
    depth = 0
    while at < len(path):
        if path[at] == "\\":
            at += 1
        elif path[at] == '"':
            end = _closing_quote(path, at)
            if end is None:
                return None
            at = end
        elif path[at] in _CLOSING:
            depth += 1
        elif path[at] in _CLOSING.values():
            depth -= 1
            if depth == 0:
                return at
        at += 1
    return None


def _closing_quote(path: str, at: int) -> int | None:
    end = re.compile(r'(\\.|[^"\\])*"').match(path, at + 1)
    return end.end() - 1 if end else None
