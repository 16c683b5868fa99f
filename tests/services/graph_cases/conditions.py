from tests.services.graph_rig import ERROR, FAILS, Case, Trial, hard, node, says, step

USER = {"user": 1}
A, B, C = says("A"), says("B"), says("C")
SWITCH = {
    "vip": node("Switch", step("a", condition="vip"), step("b", condition="@this")),
}

CASES = (
    Case(
        "first-condition",
        "the request does not match",
        Trial(
            nodes={"root": node("Sequence", hard("a", condition="vip"))},
            stubs={"a": A},
            status=500,
            cause="invalid response",
            sent=[],
        ),
        Trial(nodes={"root": SWITCH["vip"]}, stubs={"a": A, "b": B}, answer="B", sent=[("b", USER)]),
    ),
    Case(
        "first-condition",
        "the request matches",
        Trial(
            nodes={"root": node("Sequence", hard("a", condition="vip"))},
            stubs={"a": A},
            request={"vip": 1},
            status=500,
            cause="invalid response",
            sent=[],
        ),
        Trial(
            nodes={"root": SWITCH["vip"]},
            stubs={"a": A, "b": B},
            request={"vip": 1},
            answer="A",
            sent=[("a", {"vip": 1})],
        ),
    ),
    Case(
        "condition-ends",
        "no later step runs",
        Trial(
            nodes={"root": node("Sequence", hard("a"), hard("b", condition="vip"), hard("c", data="$request"))},
            stubs={"a": says({"x": 1}, 201), "b": B, "c": C},
            answer={"x": 1},
            sent=[("a", USER)],
        ),
        Trial(
            nodes={
                "root": node("Sequence", hard("a"), hard("rest", condition="vip", nodeName="rest")),
                "rest": node("Sequence", hard("b"), hard("c", data="$response")),
            },
            stubs={"a": says({"vip": 1}), "b": B, "c": C},
            answer="C",
            sent=[("a", USER), ("b", USER), ("c", "B")],
        ),
    ),
    Case(
        "condition-ends",
        "an error goes out with 200",
        Trial(
            nodes={"root": node("Sequence", step("a"), hard("b", condition="vip", data="$response"))},
            stubs={"a": FAILS, "b": B},
            answer=ERROR,
            sent=[("a", USER)],
        ),
        Trial(
            nodes={"root": node("Sequence", hard("a"), hard("b", condition="vip", data="$response"))},
            stubs={"a": FAILS, "b": B},
            status=503,
            answer=ERROR,
            sent=[("a", USER)],
        ),
    ),
    Case(
        "switch-no-condition",
        "is never chosen",
        Trial(
            nodes={"root": node("Switch", step("a", condition="vip"), step("b"))},
            stubs={"a": A, "b": B},
            status=404,
            cause="None of the routes matched with the switch condition",
        ),
        Trial(nodes={"root": SWITCH["vip"]}, stubs={"a": A, "b": B}, answer="B"),
    ),
    Case(
        "switch-no-catch-all",
        "404",
        Trial(
            nodes={"root": node("Switch", step("a", condition="vip"), step("b", condition="new"))},
            stubs={"a": A, "b": B},
            status=404,
            cause="None of the routes matched with the switch condition",
        ),
        Trial(nodes={"root": SWITCH["vip"]}, stubs={"a": A, "b": B}, answer="B"),
    ),
    Case(
        "switch-no-catch-all",
        "500 of a node that another calls",
        Trial(
            nodes={
                "root": node("Sequence", hard("vip", nodeName="vip")),
                "vip": node("Switch", step("a", condition="vip")),
            },
            stubs={"a": A},
            status=500,
            cause="None of the routes matched with the switch condition",
        ),
        Trial(
            nodes={"root": node("Sequence", hard("vip", nodeName="vip")), **SWITCH},
            stubs={"a": A, "b": B},
            answer="B",
        ),
    ),
    Case(
        "switch-unreached-step",
        "after one that always holds",
        Trial(
            nodes={"root": node("Switch", step("b", condition="@this"), step("a", condition="vip"))},
            stubs={"a": A, "b": B},
            request={"vip": 1},
            answer="B",
        ),
        Trial(nodes={"root": SWITCH["vip"]}, stubs={"a": A, "b": B}, request={"vip": 1}, answer="A"),
    ),
    Case(
        "switch-unreached-step",
        "after one with the same condition",
        Trial(
            nodes={
                "root": node(
                    "Switch",
                    step("a", condition="vip"),
                    step("c", condition="vip"),
                    step("b", condition="@this"),
                )
            },
            stubs={"a": A, "b": B, "c": C},
            request={"vip": 1},
            answer="A",
        ),
        Trial(nodes={"root": SWITCH["vip"]}, stubs={"a": A, "b": B}, request={"vip": 1}, answer="A"),
    ),
)
