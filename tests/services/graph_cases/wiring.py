from tests.services.graph_rig import CLOSED, FAILS, Case, Trial, hard, in_turn, node, says, step

A, B = says("A"), says("B")
ONE = Trial(nodes={"root": node("Sequence", step("a"))}, stubs={"a": A}, answer="A")
PAIR = {"a": says({"a": 1}), "b": says({"b": 2})}
MORE = {"more": True}

CASES = (
    Case(
        "no-root",
        "another name",
        Trial(nodes={"main": node("Sequence", step("a"))}, status=500, cause="invalid route type: "),
        ONE,
    ),
    Case("no-steps", "of a Sequence", Trial(nodes={"root": node("Sequence")}, status=0, raw=CLOSED), ONE),
    Case(
        "no-steps",
        "of a Switch",
        Trial(nodes={"root": node("Switch")}, status=404, cause="None of the routes matched"),
        Trial(nodes={"root": node("Switch", step("a", condition="@this"))}, stubs={"a": A}, answer="A"),
    ),
    Case(
        "no-steps",
        "of an Ensemble",
        Trial(nodes={"root": node("Ensemble")}, answer={}),
        Trial(nodes={"root": node("Ensemble", hard("a"))}, stubs=PAIR, answer={"a": {"a": 1}}),
    ),
    Case(
        "no-such-node",
        "a misspelt node",
        Trial(
            nodes={"root": node("Sequence", step("a", nodeName="inner"))},
            status=500,
            cause="invalid route type: ",
        ),
        Trial(
            nodes={"root": node("Sequence", step("a", nodeName="inner")), "inner": node("Sequence", step("b"))},
            stubs={"b": B},
            answer="B",
        ),
    ),
    Case(
        "unreached-node",
        "is not called",
        Trial(
            nodes={"root": node("Sequence", step("a")), "other": node("Sequence", step("b"))},
            stubs={"a": A, "b": B},
            answer="A",
            sent=[("a", {"user": 1})],
        ),
        Trial(
            nodes={
                "root": node("Sequence", hard("a"), step("o", nodeName="other")),
                "other": node("Sequence", step("b")),
            },
            stubs={"a": A, "b": B},
            answer="B",
            sent=[("a", {"user": 1}), ("b", {"user": 1})],
        ),
    ),
    Case(
        "endless-cycle",
        "ends when a Hard step fails",
        Trial(
            nodes={"root": node("Sequence", hard("a"), step("again", nodeName="root", data="$response"))},
            stubs={"a": in_turn(MORE, MORE, MORE, last=FAILS)},
            request=MORE,
            status=503,
            answer={"error": "no"},
            sent=[("a", MORE)] * 4,
        ),
        Trial(
            nodes={
                "root": node("Sequence", hard("a"), step("again", nodeName="root", data="$response", condition="more"))
            },
            stubs={"a": in_turn(MORE, MORE, MORE, last=says({"done": 1}))},
            request=MORE,
            answer={"done": 1},
            sent=[("a", MORE)] * 4,
        ),
    ),
    Case(
        "endless-cycle",
        "ends the router where no step is between",
        Trial(nodes={"root": node("Sequence", hard("again", nodeName="root"))}, status=0, raw=CLOSED),
        ONE,
    ),
    Case(
        "cycle",
        "goes round while the answer matches",
        Trial(
            nodes={
                "root": node("Sequence", hard("a"), step("again", nodeName="root", data="$response", condition="more"))
            },
            stubs={"a": in_turn(*[MORE] * 200, last=says({"done": 1}))},
            request=MORE,
            answer={"done": 1},
            sent=[("a", MORE)] * 201,
        ),
        Trial(
            nodes={"root": node("Sequence", hard("a"))},
            stubs={"a": says({"done": 1, "rounds": 200})},
            answer={"done": 1, "rounds": 200},
            sent=[("a", {"user": 1})],
        ),
    ),
    Case(
        "duplicate-step",
        "in an Ensemble",
        Trial(
            nodes={"root": node("Ensemble", hard("a"), {**hard("b"), "name": "a"})},
            stubs=PAIR,
            answer={"a": {"b": 2}},
        ),
        Trial(
            nodes={"root": node("Ensemble", hard("a"), hard("b"))}, stubs=PAIR, answer={"a": {"a": 1}, "b": {"b": 2}}
        ),
    ),
    Case(
        "ensemble-key",
        "a step named 1 before the second step, which has no name",
        Trial(
            nodes={"root": node("Ensemble", {**hard("a"), "name": "1"}, {**hard("b"), "name": ""})},
            stubs=PAIR,
            answer={"1": {"b": 2}},
        ),
        Trial(
            nodes={"root": node("Ensemble", {**hard("a"), "name": "1"}, hard("b"))},
            stubs=PAIR,
            answer={"1": {"a": 1}, "b": {"b": 2}},
        ),
    ),
)
