import json
from pathlib import Path

import pytest

from watchnext.errors import UsageError
from watchnext.graph.document import API_VERSION, read
from watchnext.graph.lint import lint_file

STEP = {"name": "a", "serviceUrl": "http://a/x"}
SPEC = {"nodes": {"root": {"routerType": "Sequence", "steps": [STEP]}}, "routerTimeouts": {"serviceClient": 1}}


def graph(name: str) -> dict[str, object]:
    return {"apiVersion": API_VERSION, "kind": "InferenceGraph", "metadata": {"name": name}, "spec": SPEC}


def config_map(router: str) -> dict[str, object]:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "inferenceservice-config"},
        "data": {"router": router},
    }


def write(folder: Path, *documents: object) -> Path:
    file = folder / "graph.yaml"
    file.write_text("\n---\n".join(json.dumps(one) for one in documents))
    return file


def test_a_whole_object_and_a_bare_spec(tmp_path: Path):
    (whole,) = read(write(tmp_path, {"kind": "Service"}, graph("chain"))).graphs
    (bare,) = read(write(tmp_path, SPEC)).graphs

    assert (whole.name, whole.nodes["root"].steps[0].at) == ("chain", "spec.nodes.root.steps[0]")
    assert (bare.name, bare.nodes["root"].steps[0].at) == ("", "nodes.root.steps[0]")


def test_paths_name_the_graph_where_there_are_several(tmp_path: Path):
    file = write(tmp_path, {"kind": "List", "items": [graph("one"), {**graph("two"), "spce": 1}, graph("Three")]})

    assert [(one.rule, one.path) for one in lint_file(file)] == [
        ("unknown-field", "two:spce"),
        ("graph-name", "Three:metadata.name"),
    ]
    assert read(file).graphs[1].nodes["root"].at == "two:spec.nodes.root"


def test_header_patterns_come_from_the_config_map_and_the_caller(tmp_path: Path):
    file = write(tmp_path, graph("a"), config_map('{"headers": {"propagate": ["^X-", "*Trace*"]}}'))

    assert [(one.rule, one.path) for one in lint_file(file, ("x-id",))] == [
        ("header-pattern", "inferenceservice-config: data.router.headers.propagate[1]"),
        ("header-case", "PROPAGATE_HEADERS[0]"),
    ]


@pytest.mark.parametrize(
    ("router", "found"),
    [
        (
            '{"headers": {"propagate": []}}',
            [("header-empty", "inferenceservice-config: data.router.headers.propagate")],
        ),
        ('{"headers": {}}', []),
        ("{}", []),
    ],
)
def test_an_empty_list_of_headers_is_not_none_at_all(tmp_path: Path, router: str, found: list[tuple[str, str]]):
    file = write(tmp_path, graph("a"), config_map(router))

    assert [(one.rule, one.path) for one in lint_file(file)] == found


@pytest.mark.parametrize(
    ("documents", "said"),
    [
        (["text"], "holds nothing; wanted an InferenceGraph of serving.kserve.io/v1alpha1"),
        ([{"apiVersion": "v1", "kind": "Service"}], "holds v1 Service; wanted"),
        ([{**graph("a"), "apiVersion": "serving.kserve.io/v1"}], "holds serving.kserve.io/v1 InferenceGraph; wanted"),
        ([graph("a"), config_map("{")], "data.router of ConfigMap inferenceservice-config is no JSON object"),
        (
            [graph("a"), config_map('{"headers": {"propagate": "X-Id"}}')],
            'propagate is "X-Id"; wanted a list of patterns',
        ),
        (
            [graph("a"), {**config_map("{}"), "data": {"router": None}}],
            "router of ConfigMap inferenceservice-config is no",
        ),
        ([{"kind": "List", "items": 5}], "holds nothing"),
        ([graph("a"), config_map("[]")], "data.router of ConfigMap inferenceservice-config is no JSON object"),
    ],
)
def test_a_file_that_is_of_no_use_is_told(tmp_path: Path, documents: list[object], said: str):
    with pytest.raises(UsageError, match=said):
        read(write(tmp_path, *documents))


def test_a_file_that_cannot_be_read_is_told(tmp_path: Path):
    (tmp_path / "broken.yaml").write_text("a: [")

    with pytest.raises(UsageError, match=r"broken\.yaml is neither YAML nor JSON"):
        read(tmp_path / "broken.yaml")
    with pytest.raises(UsageError, match=r"none\.yaml cannot be read"):
        read(tmp_path / "none.yaml")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("nodes: 2026-99-99", "month must be in 1..12"),
        ("nodes: !!bool perhaps", "graph.yaml is neither YAML nor JSON"),
        ("nodes: !!timestamp today", "graph.yaml is neither YAML nor JSON"),
        ("nodes: &nodes {root: *nodes}", "an alias holds itself"),
        ("nodes: " + "[" * 5_000, "recursion"),
    ],
)
def test_yaml_that_makes_no_object_is_told(tmp_path: Path, text: str, said: str):
    file = tmp_path / "graph.yaml"
    file.write_text(text)

    with pytest.raises(UsageError, match=said):
        read(file)


def test_json_is_read_as_json(tmp_path: Path):
    """PyYAML refuses tabs, and makes of an escaped smile two halves that nothing can print."""
    file = tmp_path / "graph.json"
    step = {**STEP, "name": "smile \N{GRINNING FACE}"}
    nodes = {"root": {"routerType": "Sequence", "steps": [step]}}
    file.write_text(json.dumps({"nodes": nodes}, indent="\t"))

    assert read(file).graphs[0].nodes["root"].steps[0].name == step["name"]


def test_numbers_and_dates_are_texts_where_json_has_them_as_such(tmp_path: Path):
    file = tmp_path / "graph.yaml"
    file.write_text(
        "nodes: {1: {routerType: Sequence, steps: [{serviceUrl: 'http://[fe80::1]:8080/x'}]}, root: 2026-01-01}"
    )

    assert [(one.rule, one.path, one.came) for one in lint_file(file)] == [
        ("wrong-type", "nodes.root", '"2026-01-01"; wanted a mapping'),
        ("no-steps", "nodes.root.steps", "a node without steps"),
        ("unreached-node", "nodes.1", "no way from root to it"),
        ("no-client-timeout", "routerTimeouts.serviceClient", "left out"),
    ]


def test_a_round_that_two_ways_lead_to_is_told_once(tmp_path: Path):
    loop = {"routerType": "Sequence", "steps": [{"nodeName": "loop"}]}
    half = {"routerType": "Sequence", "steps": [{"nodeName": "loop"}]}
    root = {"routerType": "Splitter", "steps": [{"nodeName": "a", "weight": 50}, {"nodeName": "b", "weight": 50}]}
    file = write(tmp_path, {"nodes": {"root": root, "a": half, "b": half, "loop": loop}})

    assert [one.path for one in lint_file(file) if one.rule == "endless-cycle"] == ["nodes.loop.steps[0].nodeName"]
