from tests.services.graph_rig import ERROR, FAILS, Case, Trial, hard, node, says, step

ONE = Trial(nodes={"root": node("Sequence", step("a"))}, stubs={"a": says("A")}, answer="A")
PAIR = {"a": says({"a": 1}), "b": says({"b": 1})}

CASES = (
    Case(
        "unknown-field",
        "a misspelt field of a step is not read",
        Trial(
            nodes={"root": node("Sequence", hard("a"), hard("b", dataa="$response"))},
            stubs=PAIR,
            request={"user": 1},
            answer={"b": 1},
            sent=[("a", {"user": 1}), ("b", {"user": 1})],
        ),
        Trial(
            nodes={"root": node("Sequence", hard("a"), hard("b", data="$response"))},
            stubs=PAIR,
            answer={"b": 1},
            sent=[("a", {"user": 1}), ("b", {"a": 1})],
        ),
    ),
    Case(
        "unknown-field",
        "a field of an old API",
        Trial(
            nodes={"root": {**node("Sequence", step("a")), "routes": [step("b")]}},
            stubs=PAIR,
            answer={"a": 1},
        ),
        ONE,
    ),
    Case(
        "wrong-type",
        "a time-out with a unit",
        Trial(nodes=ONE.nodes, spec={"routerTimeouts": {"serviceClient": "10s"}}, starts=False),
        ONE,
    ),
    Case(
        "wrong-type",
        "a weight in quotes",
        Trial(nodes={"root": node("Splitter", step("a", weight="100"))}, starts=False),
        Trial(nodes={"root": node("Splitter", step("a", weight=100))}, stubs={"a": says("A")}, answer="A"),
    ),
    Case(
        "router-type",
        "in small letters",
        Trial(nodes={"root": node("sequence", step("a"))}, status=500, cause="invalid route type: sequence"),
        ONE,
    ),
    Case(
        "router-type",
        "left out",
        Trial(nodes={"root": {"steps": [step("a")]}}, status=500, cause="invalid route type: "),
        ONE,
    ),
    Case(
        "dependency-word",
        "hard is taken for Soft",
        Trial(
            nodes={"root": node("Sequence", step("a", dependency="hard"), hard("b", data="$response"))},
            stubs={"a": FAILS, "b": says("B")},
            answer="B",
            sent=[("a", {"user": 1}), ("b", ERROR)],
        ),
        Trial(
            nodes={"root": node("Sequence", hard("a"), hard("b", data="$response"))},
            stubs={"a": FAILS, "b": says("B")},
            status=503,
            answer=ERROR,
            sent=[("a", {"user": 1})],
        ),
    ),
    Case(
        "scale-metric",
        "an unknown metric",
        Trial(nodes=ONE.nodes, stubs={"a": says("A")}, answer="A", spec={"scaleMetric": "CPU"}),
        Trial(nodes=ONE.nodes, stubs={"a": says("A")}, answer="A", spec={"scaleMetric": "cpu"}),
    ),
    Case(
        "graph-name",
        "a capital letter",
        Trial(nodes=ONE.nodes, stubs={"a": says("A")}, answer="A", name="Graph"),
        ONE,
    ),
)
