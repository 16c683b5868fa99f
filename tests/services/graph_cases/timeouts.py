from tests.services.graph_rig import CLOSED, Case, Trial, hard, node, says, slow

NODES = {"root": node("Sequence", hard("a"))}
LIMITED = Trial(
    nodes=NODES,
    stubs={"a": slow(3, "A")},
    spec={"routerTimeouts": {"serviceClient": 1}},
    status=500,
    cause="Client.Timeout exceeded while awaiting headers",
)


def waiting(**spec: object) -> Trial:
    """The client gives up after 2 s; the router has not."""
    return Trial(nodes=NODES, stubs={"a": slow(6, "A")}, spec=spec, seconds=2, status=0, raw=b"no answer within 2 s")


CASES = (
    Case("no-client-timeout", "no routerTimeouts", waiting(routerTimeouts=None), LIMITED),
    Case("no-client-timeout", "other time-outs only", waiting(routerTimeouts={"serverWrite": 1}), LIMITED),
    Case("no-client-timeout", "none", waiting(routerTimeouts={"serviceClient": 0}), LIMITED),
    Case("no-client-timeout", "negative", waiting(routerTimeouts={"serviceClient": -5}), LIMITED),
    Case(
        "write-timeout",
        "shorter than a step",
        Trial(
            nodes=NODES,
            stubs={"a": slow(2, "A")},
            spec={"routerTimeouts": {"serviceClient": 5, "serverWrite": 1}},
            status=0,
            raw=CLOSED,
        ),
        Trial(
            nodes=NODES,
            stubs={"a": slow(2, "A")},
            spec={"routerTimeouts": {"serviceClient": 5, "serverWrite": 6}},
            answer="A",
        ),
    ),
    Case(
        "timeout-unread",
        "a step takes longer",
        Trial(nodes=NODES, stubs={"a": slow(2, "A")}, spec={"timeout": 1}, answer="A"),
        LIMITED,
    ),
    Case(
        "timeout-unread",
        "beside a time-out that holds",
        Trial(nodes=NODES, stubs={"a": says("A")}, spec={"timeout": 1}, answer="A"),
        Trial(nodes=NODES, stubs={"a": says("A")}, answer="A"),
    ),
)
