from tests.services.graph_rig import ERROR, FAILS, Case, Trial, hard, node, says, step

USER = {"user": 1}
PAIR = {"a": says({"a": 1}), "b": says("B")}
PREDICTIONS = {"predictions": [2**53 + 1], "trace": "t1"}


def pair(*, status: int = 200, answer: object = "B", second: object, **fields: object) -> Trial:
    """Step b after a, which is Hard; `second` is what b is sent."""
    return Trial(
        nodes={"root": node("Sequence", hard("a"), hard("b", **fields))},
        stubs=PAIR,
        status=status,
        answer=answer,
        sent=[("a", USER), ("b", second)],
    )


def unread(kind: str, answer: object, *steps: dict[str, object], status: int = 200, mended: dict[str, object]) -> Case:
    (first, *rest) = steps
    field = next(iter(first.keys() - mended.keys()))
    stubs = {"a": says({"a": 1}, status), "b": says({"b": 2})}
    return Case(
        "unread-field",
        f"{field} in a {kind}",
        Trial(nodes={"root": node(kind, first, *rest)}, stubs=stubs, answer=answer, status=status),
        Trial(nodes={"root": node(kind, mended, *rest)}, stubs=stubs, answer=answer, status=status),
    )


CASES = (
    Case(
        "soft-step",
        "the error's body is posted on, the last status answers",
        Trial(
            nodes={"root": node("Sequence", step("a"), hard("b", data="$response"))},
            stubs={"a": FAILS, "b": says("B", 201)},
            status=201,
            answer="B",
            sent=[("a", USER), ("b", ERROR)],
        ),
        Trial(
            nodes={"root": node("Sequence", hard("a"), hard("b", data="$response"))},
            stubs={"a": FAILS, "b": says("B", 201)},
            status=503,
            answer=ERROR,
            sent=[("a", USER)],
        ),
    ),
    Case(
        "soft-ensemble-step",
        "the error stands in an answer of 200",
        Trial(
            nodes={"root": node("Ensemble", step("a"), hard("b"))},
            stubs={"a": FAILS, "b": says({"b": 2})},
            answer={"a": ERROR, "b": {"b": 2}},
        ),
        Trial(
            nodes={"root": node("Ensemble", hard("a"), hard("b"))},
            stubs={"a": FAILS, "b": says({"b": 2})},
            status=503,
            answer=ERROR,
        ),
    ),
    Case(
        "soft-ensemble-step",
        "an error that is no JSON object is a 500",
        Trial(
            nodes={"root": node("Ensemble", step("a"), hard("b"))},
            stubs={"a": says(b"no", 503), "b": says({"b": 2})},
            status=500,
            cause="invalid character",
        ),
        Trial(
            nodes={"root": node("Ensemble", hard("a"), hard("b"))},
            stubs={"a": FAILS, "b": says({"b": 2})},
            status=503,
            answer=ERROR,
        ),
    ),
    Case(
        "soft-transport",
        "a refused connection of a Soft step of a Sequence",
        Trial(
            nodes={"root": node("Sequence", step("a", dependency="Soft"), hard("b", data="$request"))},
            stubs={"a": None, "b": says("B")},
            status=500,
            cause="connection refused",
            sent=[],
        ),
        Trial(
            nodes={"root": node("Sequence", hard("a"), hard("b", data="$request"))},
            stubs={"a": None, "b": says("B")},
            status=500,
            cause="connection refused",
            sent=[],
        ),
    ),
    Case(
        "soft-transport",
        "a refused connection of a Soft step of an Ensemble",
        Trial(
            nodes={"root": node("Ensemble", step("a", dependency="Soft"), hard("b"))},
            stubs={"a": None, "b": says({"b": 2})},
            status=500,
            cause="connection refused",
        ),
        Trial(
            nodes={"root": node("Ensemble", hard("a"), hard("b"))},
            stubs={"a": says({"a": "instead"}), "b": says({"b": 2})},
            answer={"a": {"a": "instead"}, "b": {"b": 2}},
        ),
    ),
    Case(
        "first-response",
        "the first step gets the request",
        Trial(
            nodes={"root": node("Sequence", hard("a", data="$response"))},
            stubs=PAIR,
            answer={"a": 1},
            sent=[("a", USER)],
        ),
        Trial(nodes={"root": node("Sequence", hard("a"))}, stubs=PAIR, answer={"a": 1}, sent=[("a", USER)]),
    ),
    Case(
        "data-both",
        "gets the request",
        pair(data="$request, $response", second=USER),
        Trial(
            nodes={"root": node("Sequence", hard("a"), hard("b", data="$response"))},
            stubs={"a": says({"a": 1, "request": USER}), "b": says("B")},
            answer="B",
            sent=[("a", USER), ("b", {"a": 1, "request": USER})],
        ),
    ),
    Case(
        "data-word",
        "a part of the answer, as the API's own comment has it",
        pair(data="$response.predictions", second=USER),
        pair(data="$response", second={"a": 1}),
    ),
    Case("answer-dropped", "data left out", pair(second=USER), pair(data="$response", second={"a": 1})),
    Case("answer-dropped", "meant so", pair(second=USER), pair(data="$request", second=USER)),
    Case(
        "maps-input",
        "the request's predictions are mapped",
        Trial(
            nodes={"root": node("Sequence", hard("a"), hard("b", mapPredictionsToInstances=True))},
            stubs={"a": says({"predictions": [2]}), "b": says("B")},
            request={"predictions": [1]},
            answer="B",
            sent=[("a", {"predictions": [1]}), ("b", {"instances": [1]})],
        ),
        Trial(
            nodes={"root": node("Sequence", hard("a"), hard("b", mapPredictionsToInstances=True, data="$response"))},
            stubs={"a": says({"predictions": [2]}), "b": says("B")},
            request={"predictions": [1]},
            answer="B",
            sent=[("a", {"predictions": [1]}), ("b", {"instances": [2]})],
        ),
    ),
    Case(
        "maps-only",
        "other fields are dropped, digits of large numbers too",
        Trial(
            nodes={"root": node("Sequence", hard("a"), hard("b", mapPredictionsToInstances=True, data="$response"))},
            stubs={"a": says(PREDICTIONS), "b": says("B")},
            answer="B",
            sent=[("a", USER), ("b", {"instances": [2**53]})],
        ),
        Trial(
            nodes={"root": node("Sequence", hard("a"), hard("b", data="$response"))},
            stubs={"a": says(PREDICTIONS), "b": says("B")},
            answer="B",
            sent=[("a", USER), ("b", PREDICTIONS)],
        ),
    ),
    unread("Sequence", {"a": 1}, hard("a", weight=0), mended=hard("a")),
    unread("Ensemble", {"a": {"a": 1}}, hard("a", condition="no.such"), mended=hard("a")),
    unread("Ensemble", {"a": {"a": 1}}, hard("a", data="$response"), mended=hard("a")),
    unread("Ensemble", {"a": {"a": 1}}, hard("a", mapPredictionsToInstances=True), mended=hard("a")),
    unread("Splitter", {"a": 1}, step("a", weight=100, condition="no"), mended=step("a", weight=100)),
    unread("Splitter", {"a": 1}, step("a", weight=100, dependency="Soft"), status=503, mended=step("a", weight=100)),
    unread("Switch", {"a": 1}, step("a", condition="@this", weight=0), mended=step("a", condition="@this")),
    unread(
        "Switch",
        {"a": 1},
        step("a", condition="@this", dependency="Soft"),
        status=503,
        mended=step("a", condition="@this"),
    ),
)
