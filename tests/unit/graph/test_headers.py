import pytest

from watchnext.graph.headers import check, why_not


@pytest.mark.parametrize(
    ("pattern", "reason"),
    [
        ("*Trace-Id*", "no argument for repetition operator: *"),
        ("X-(?!Secret).*", "invalid perl operator: (?!"),
        (r"(X)\1", r"invalid escape sequence: \1"),
        (r"X\C", r"invalid escape sequence: \C"),
        ("X-[", "missing ]: ["),
        ("a{1001}", "invalid repetition size: {1001}"),
        ("X-\udcff", "invalid UTF-8"),
    ],
)
def test_what_go_does_not_compile(pattern: str, reason: str):
    assert why_not(pattern) == reason
    assert [(one.rule, one.path) for one in check([("here", pattern)])] == [("header-pattern", "here")]


@pytest.mark.parametrize(
    "pattern",
    [
        "Authorization",
        "Test-Header-*",
        "(?i)x-request-id",
        "^X-B3-.*$",
        r"X-\\Chain",
        r"^X-\d+\z",
        "X?-Id",
        "(?P<n>X)-Id",
    ],
)
def test_a_pattern_that_does_what_it_says(pattern: str):
    assert list(check([("here", pattern)])) == []


@pytest.mark.parametrize("pattern", ["x-request-id", "^X-Request-ID", "traceparent$", "X-forwarded-.*"])
def test_a_name_that_go_spells_otherwise(pattern: str):
    assert [one.rule for one in check([("here", pattern)])] == ["header-case"]


@pytest.mark.parametrize("pattern", [".*", "Accept", "^[^X]", "Encoding$"])
def test_a_pattern_that_lets_steps_compress(pattern: str):
    assert [one.rule for one in check([("here", pattern)])] == ["header-encoding"]
