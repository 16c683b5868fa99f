from tests.services.graph_rig import CLOSED, Case, Trial, node, says, step

A, B = says("A"), says("B")
BOTH = {"a": A, "b": B}
ONE = Trial(nodes={"root": node("Sequence", step("a"))}, stubs={"a": A}, answer="A")


def posting_to(url: str, cause: str) -> Trial:
    soft = {"name": "a", "serviceUrl": url, "dependency": "Soft"}
    return Trial(nodes={"root": node("Sequence", soft)}, status=500, cause=cause)


CASES = (
    Case(
        "no-target",
        "posts to nowhere",
        Trial(nodes={"root": node("Sequence", {"name": "a"})}, status=500, cause='unsupported protocol scheme ""'),
        ONE,
    ),
    Case(
        "many-targets",
        "nodeName goes before serviceUrl",
        Trial(
            nodes={
                "root": node("Sequence", {**step("a"), "nodeName": "inner"}),
                "inner": node("Sequence", step("b")),
            },
            stubs=BOTH,
            answer="B",
            sent=[("b", {"user": 1})],
        ),
        ONE,
    ),
    Case(
        "many-targets",
        "serviceUrl goes before serviceName",
        Trial(nodes={"root": node("Sequence", {**step("a"), "serviceName": "b"})}, stubs=BOTH, answer="A"),
        ONE,
    ),
    Case(
        "url-not-absolute",
        "a path",
        posting_to("/v1/models/a:predict", 'unsupported protocol scheme ""'),
        ONE,
    ),
    Case(
        "url-not-absolute",
        "host and port",
        posting_to("model.default:8080/v1/models/a:predict", 'unsupported protocol scheme "model.default"'),
        ONE,
    ),
    Case(
        "url-not-absolute",
        "an address and port",
        posting_to("10.0.0.1:8080/v1", "first path segment in URL cannot contain colon"),
        ONE,
    ),
    Case("url-not-absolute", "gRPC", posting_to("grpc://a.test/x", 'unsupported protocol scheme "grpc"'), ONE),
    Case("url-not-absolute", "no host", posting_to("http:///v1", "no Host in request URL"), ONE),
    Case(
        "url-not-absolute",
        "a placeholder that nobody filled in",
        posting_to("{host}/v1/models/a:predict", 'unsupported protocol scheme ""'),
        ONE,
    ),
    Case("url-not-absolute", "a wrong escape", posting_to("http://a.test/%zz", "invalid URL escape"), ONE),
    Case(
        "url-without-path",
        "posts to /",
        Trial(
            nodes={"root": node("Sequence", {"name": "a", "serviceUrl": "http://a.test"})},
            stubs={"a": A},
            answer="A",
            path="/",
        ),
        Trial(nodes=ONE.nodes, stubs={"a": A}, answer="A", path="/v1/models/a:predict"),
    ),
    Case(
        "no-weight",
        "panics",
        Trial(nodes={"root": node("Splitter", step("a"), step("b", weight=100))}, status=0, raw=CLOSED),
        Trial(
            nodes={"root": node("Splitter", step("a", weight=0), step("b", weight=100))},
            stubs=BOTH,
            answer="B",
            times=5,
        ),
    ),
    Case(
        "weights-sum",
        "below 100",
        Trial(
            nodes={"root": node("Splitter", step("a", weight=0), step("b", weight=0))},
            stubs=BOTH,
            status=500,
            cause="no route was selected by the splitter",
        ),
        Trial(
            nodes={"root": node("Splitter", step("a", weight=100), step("b", weight=0))},
            stubs=BOTH,
            answer="A",
            times=5,
        ),
    ),
    Case(
        "weights-sum",
        "above 100",
        Trial(
            nodes={"root": node("Splitter", step("a", weight=100), step("b", weight=100))},
            stubs=BOTH,
            answer="A",
            times=20,
        ),
        Trial(
            nodes={"root": node("Splitter", step("a", weight=0), step("b", weight=100))},
            stubs=BOTH,
            answer="B",
            times=5,
        ),
    ),
    Case(
        "negative-weight",
        "is never picked",
        Trial(
            nodes={"root": node("Splitter", step("a", weight=-50), step("b", weight=150))},
            stubs=BOTH,
            answer="B",
            times=20,
        ),
        Trial(
            nodes={"root": node("Splitter", step("a", weight=0), step("b", weight=100))},
            stubs=BOTH,
            answer="B",
            times=5,
        ),
    ),
)
