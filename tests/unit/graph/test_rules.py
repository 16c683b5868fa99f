"""Each rule is found where it is broken, and nowhere else; what the router does then, `tests/services` tells."""

import re
from importlib import resources
from pathlib import Path

import pytest
import yaml

from tests.services.graph_cases import CASES
from tests.services.graph_rig import Case, Trial, hard, node, step
from watchnext.graph.document import Graph, Manifests
from watchnext.graph.lint import RULES, lint
from watchnext.local.router import graph_spec

DOCS = Path(__file__).parents[3] / "docs" / "graph.md"


def findings(nodes: object, **spec: object) -> list[tuple[str, str, str]]:
    """Rule, path and what came."""
    graph = Graph({"nodes": nodes, "routerTimeouts": {"serviceClient": 1}, **spec}, "")
    return [(one.rule, one.path, one.came) for one in lint(Manifests((graph,)))]


def rules_of(trial: Trial) -> set[str]:
    patterns = tuple((f"PROPAGATE_HEADERS[{number}]", one) for number, one in enumerate(trial.patterns or ()))
    return {finding.rule for finding in lint(Manifests((Graph(trial.document, "spec"),), patterns))}


def test_each_rule_has_a_case_and_a_name_of_its_own():
    assert sorted({case.rule for case in CASES}) == sorted(rule.name for rule in RULES)


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.rule}: {case.what}")
def test_a_rule_is_found_and_the_mended_graph_keeps_it(case: Case):
    assert case.rule in rules_of(case.broken)
    assert case.rule not in rules_of(case.mended)


def test_the_documentation_lists_the_rules_as_the_linter_says_them():
    rows = re.findall(r"^\| `(.+?)` \| (\w+) \| (.+?) \| (.+) \|$", DOCS.read_text(), re.MULTILINE)

    assert rows == [(rule.name, rule.severity, rule.router, rule.mend) for rule in RULES]


def test_our_own_graph_is_clean():
    spec = graph_spec("http://retrieval:8080", "http://ranking:8080")

    assert lint(Manifests((Graph(spec, ""),))) == []


def test_our_own_graph_before_its_addresses_are_filled_in_lacks_these_only():
    spec = yaml.safe_load(resources.files("watchnext.contracts").joinpath("inference_graph.yaml").read_text())

    assert [(one.rule, one.path, one.came) for one in lint(Manifests((Graph(spec, ""),)))] == [
        ("url-not-absolute", "nodes.root.steps[0].serviceUrl", '"{retrieval_url}/v1/models/retrieval:predict"'),
        ("url-not-absolute", "nodes.root.steps[1].serviceUrl", '"{ranking_url}/v1/models/ranker:predict"'),
    ]


@pytest.mark.parametrize(
    ("url", "found"),
    [
        ("http://a:/x", []),
        ("http://a/x?share=100%", []),
        ("http://u:p@ss@a/x", []),
        ("http://[fe80::1%25eth0]:80/x", []),
        ("http://a%20b/x", ["url-not-absolute"]),
        ("http://u<@a/x", ["url-not-absolute"]),
        ("http://[1.2.3.4]/x", ["url-not-absolute"]),
        ("http://a/x?q#100%", ["url-not-absolute"]),
        ("http://a:\N{ARABIC-INDIC DIGIT THREE}/x", ["url-not-absolute"]),
    ],
)
def test_a_url_is_judged_as_go_parses_it(url: str, found: list[str]):
    nodes = {"root": node("Sequence", hard("a", serviceUrl=url))}

    assert [rule for rule, *_ in findings(nodes)] == found


def test_errors_come_before_warnings_each_with_its_place():
    nodes = {"root": node("Sequence", step("a"), hard("b", data="$response", conditon="x"))}

    assert findings(nodes) == [
        ("unknown-field", "nodes.root.steps[1].conditon", "conditon; did you mean condition?"),
        ("soft-step", "nodes.root.steps[0].dependency", "dependency left out of step a"),
    ]


@pytest.mark.parametrize(
    ("field", "nearest"),
    [
        ("serviceURL", "did you mean serviceUrl?"),
        ("service", "did you mean serviceUrl?"),
        ("stepName", "did you mean name?"),
        ("zzz", "there are condition, data, dependency, mapPredictionsToInstances, name, nodeName, serviceName, "),
    ],
)
def test_an_unknown_field_comes_with_the_nearest(field: str, nearest: str):
    ((rule, path, came),) = findings({"root": node("Sequence", hard("a", **{field: "x"}))})

    assert (rule, path) == ("unknown-field", f"nodes.root.steps[0].{field}")
    assert came.startswith(f"{field}; {nearest}")


@pytest.mark.parametrize(
    ("nodes", "path"),
    [
        ("root", "nodes"),
        ({"root": "Sequence"}, "nodes.root"),
        ({"root": {"routerType": "Sequence", "steps": {"a": 1}}}, "nodes.root.steps"),
        ({"root": node("Sequence", "a")}, "nodes.root.steps[0]"),  # type: ignore[arg-type]
        ({"root": node("Splitter", step("a", weight=True))}, "nodes.root.steps[0].weight"),
        ({"root": node("Sequence", hard("a"), hard("b", condition=True))}, "nodes.root.steps[1].condition"),
        ({"root": {"routerType": 1, "steps": [step("a")]}}, "nodes.root.routerType"),
    ],
)
def test_a_wrong_type_is_told_at_its_place_however_deep(nodes: object, path: str):
    assert ("wrong-type", path) in [(rule, place) for rule, place, _ in findings(nodes)]


def test_a_null_counts_as_left_out():
    assert findings({"root": node("Sequence", hard("a", weight=None))}) == []


@pytest.mark.parametrize(
    "url",
    [
        "http://a",
        "https://a.b.svc.cluster.local:8443/v1/models/m:predict",
        "http://user:word@a/x",
        "http://[::1]:80/x?y=1#z",
        "HTTP://a/x",
        "http://a_b/100%25 sure",
    ],
)
def test_an_address_that_the_router_can_post_to(url: str):
    found = findings({"root": node("Sequence", {**hard("a"), "serviceUrl": url})})

    assert [rule for rule, _, _ in found if rule != "url-without-path"] == []


def test_rounds_of_several_nodes_are_told_once():
    nodes = {
        "root": node(
            "Switch", step("a", nodeName="left", condition="x"), step("b", nodeName="right", condition="@this")
        ),
        "left": node("Sequence", hard("c", nodeName="right")),
        "right": node("Ensemble", hard("d"), hard("e", nodeName="left")),
    }

    assert [(rule, path, came) for rule, path, came in findings(nodes)] == [
        ("endless-cycle", "nodes.right.steps[1].nodeName", "left → right → left"),
    ]


def test_two_rounds_through_one_node_are_told_each():
    nodes = {
        "root": node("Switch", step("a", nodeName="left", condition="x"), step("b", nodeName="right", condition="y")),
        "left": node("Sequence", hard("c", nodeName="root")),
        "right": node("Sequence", hard("d", nodeName="right")),
    }

    assert [(rule, came) for rule, _, came in findings(nodes) if rule.endswith("cycle")] == [
        ("endless-cycle", "right → right"),
        ("cycle", "root → left → root"),
    ]


def test_a_graph_of_many_layers_is_read_at_once():
    """Two nodes a layer that both call both of the next: 2^40 ways from the root."""
    layers = 40
    nodes = {"root": node("Ensemble", hard("a", nodeName="a0"), hard("b", nodeName="b0"))}
    for layer in range(layers):
        for name in "ab":
            nodes[f"{name}{layer}"] = node(
                "Sequence", *(hard(to, nodeName=f"{to}{layer + 1}", data="$response") for to in "ab")
            )
    nodes |= {f"{name}{layers}": node("Sequence", hard("end")) for name in "ab"}

    found = [(rule, came) for rule, _, came in findings(nodes) if rule == "write-timeout"]

    assert found == [("write-timeout", f"serviceClient 1 s times {2**layers} steps in a row; serverWrite 60 s")]


def test_a_graph_may_be_deeper_than_the_stack():
    nodes = {"root": node("Sequence", hard("first", nodeName="n0"))}
    nodes |= {f"n{depth}": node("Sequence", hard("on", nodeName=f"n{depth + 1}")) for depth in range(2_000)}
    nodes["n2000"] = node("Sequence", hard("end"))

    assert findings(nodes) == []


def test_time_for_writing_covers_the_longest_row_of_steps():
    nodes = {
        "root": node("Sequence", hard("a"), hard("b", nodeName="both", data="$response")),
        "both": node("Ensemble", hard("c", nodeName="row"), hard("d")),
        "row": node("Sequence", hard("e"), hard("f", data="$response")),
    }

    assert findings(nodes, routerTimeouts={"serviceClient": 20}) == [
        ("write-timeout", "routerTimeouts.serverWrite", "serviceClient 20 s times 3 steps in a row; serverWrite 60 s")
    ]
    assert findings(nodes, routerTimeouts={"serviceClient": 19}) == []
    assert findings(nodes, routerTimeouts={"serviceClient": 20, "serverWrite": 61}) == []
    assert findings(nodes, routerTimeouts={"serviceClient": 20, "serverWrite": 0}) == []  # none
