import pytest

from watchnext.graph.gjson import always_holds, flaw


@pytest.mark.parametrize(
    "path",
    [
        "a",
        "a.0.b",
        "a.#",
        "a.*b",
        r"fav\.movie",
        r"a\[0\]",
        r"a\>b",
        'a.#(b=="x.y|z").c',
        'a.#(b=="c)#").d',
        "a.#(b.#(c>1))",
        "a.#(b==1)#|0",
        'a.#(n%"D*").x',
        "@this",
        "@this|a",
        "a.@reverse",
        "a|@keys",
        '@flatten:{"deep":true}',
        "[@this].#(a==1)",
        "[a,b]|0",
        "{a}.a",
        "a.#.b|0",
        "a.#(b==1)#.c|0",
        "a.b.[c]",
        "a.[b]|0",
        "a.[0].0",
        "a.{b}.b",
    ],
)
def test_a_path_that_gjson_can_read(path: str):
    assert flaw(path) is None


@pytest.mark.parametrize("path", ["{a", '{"a":[b}', '[a,"b]', 'a.#(b=="c)'])
def test_what_does_not_close(path: str):
    rule = flaw(path)

    assert rule is not None
    assert rule.name == "unbalanced-query"


@pytest.mark.parametrize("path", ["a.{b}", "a|[b]", "a.[0]", "a.#.b", "a.#(b==1)#.c|@this", "a.#(b==1)#|#"])
def test_what_makes_a_value_exists_without_a_match(path: str):
    rule = flaw(path)

    assert rule is not None
    assert rule.name == "always-true"


def test_what_holds_for_any_body():
    assert [
        path
        for path in ("@this", "@valid", "[a]", "{a}", "!true", "a", "a.#.b", "[@this].#(a==1)")
        if always_holds(path)
    ] == [
        "@this",
        "@valid",
        "[a]",
        "{a}",
        "!true",
    ]
