import gzip

from tests.services.graph_rig import Case, Trial, hard, node, says, zips


def sending(*patterns: str, header: str = "x-request-id", value: str = "r1", passed: dict[str, str | None]) -> Trial:
    return Trial(
        nodes={"root": node("Sequence", hard("a"))},
        stubs={"a": says("A")},
        answer="A",
        patterns=patterns,
        headers={header: value},
        passed=passed,
    )


CASES = (
    Case(
        "header-pattern",
        "a glob of the ConfigMap's own example; the other patterns work",
        Trial(
            nodes={"root": node("Sequence", hard("a"))},
            stubs={"a": says("A")},
            answer="A",
            patterns=("*Trace-Id*", "X-Request-Id"),
            headers={"X-Trace-Id": "t1", "X-Request-Id": "r1"},
            passed={"X-Trace-Id": None, "X-Request-Id": "r1"},
        ),
        sending(".*Trace-Id.*", header="X-Trace-Id", value="t1", passed={"X-Trace-Id": "t1"}),
    ),
    Case(
        "header-pattern",
        "a look-ahead",
        sending("^X-(?!Secret)", passed={"X-Request-Id": None}),
        sending("^X-Request", passed={"X-Request-Id": "r1"}),
    ),
    Case(
        "header-pattern",
        "a look-behind",
        sending("(?<=X-)Request-Id", passed={"X-Request-Id": None}),
        sending("X-Request-Id", passed={"X-Request-Id": "r1"}),
    ),
    Case(
        "header-pattern",
        "a back-reference",
        sending(r"^(X)-Request-Id|\1", passed={"X-Request-Id": None}),
        sending("^X-Request-Id", passed={"X-Request-Id": "r1"}),
    ),
    Case(
        "header-pattern",
        "a byte",
        sending(r"X\CRequest-Id", passed={"X-Request-Id": None}),
        sending("X.Request-Id", passed={"X-Request-Id": "r1"}),
    ),
    Case(
        "header-empty",
        "an empty list, as in the ConfigMap's own example",
        sending("", header="Authorization", value="Bearer x", passed={"Authorization": "Bearer x"}),
        Trial(
            nodes={"root": node("Sequence", hard("a"))},
            stubs={"a": says("A")},
            answer="A",
            headers={"Authorization": "Bearer x"},
            passed={"Authorization": None},
        ),
    ),
    Case(
        "header-comma",
        "a repetition is two patterns, and the second matches too much",
        Trial(
            nodes={"root": node("Sequence", hard("a"))},
            stubs={"a": says("A")},
            answer="A",
            patterns=("^X-A{1,B",),
            headers={"X-A": "a", "B-Secret": "b"},
            passed={"X-A": None, "B-Secret": "b"},
        ),
        sending("^X-A$", header="X-A", value="a", passed={"X-A": "a"}),
    ),
    Case(
        "header-case",
        "as the client writes it",
        sending("x-request-id", passed={"X-Request-Id": None}),
        sending("X-Request-Id", passed={"X-Request-Id": "r1"}),
    ),
    Case(
        "header-case",
        "an abbreviation in capitals",
        sending("^X-Request-ID$", header="X-Request-ID", passed={"X-Request-Id": None}),
        sending("(?i)^x-request-id$", passed={"X-Request-Id": "r1"}),
    ),
    Case(
        "header-encoding",
        "the client gets bytes that it cannot read",
        Trial(
            nodes={"root": node("Sequence", hard("a"))},
            stubs={"a": zips({"a": 1})},
            raw=gzip.compress(b'{"a": 1}', mtime=0),
            patterns=(".*",),
            headers={"Accept-Encoding": "gzip"},
        ),
        Trial(
            nodes={"root": node("Sequence", hard("a"))},
            stubs={"a": zips({"a": 1})},
            answer={"a": 1},
            patterns=("^X-",),
            headers={"Accept-Encoding": "gzip"},
        ),
    ),
)
