from pathlib import Path

import pytest

from tests.services.graph_rig import hard, node, says, step
from watchnext.errors import UsageError
from watchnext.graph.document import Graph
from watchnext.graph.dry_run import dry_run, labels, read_stubs, with_addresses

A = says("A")
NODES = {
    "root": node("Sequence", hard("a"), hard("inner", nodeName="inner"), {"serviceName": "c"}),
    "inner": node("Ensemble", hard("a"), hard("b")),
    "unreached": node("Sequence", hard("z")),
}


def test_services_that_root_reaches_have_a_label_each():
    graph = Graph({"nodes": NODES}, "")

    assert {label: step.at for label, step in labels(graph).items()} == {
        "root[0]": "nodes.root.steps[0]",
        "root[2]": "nodes.root.steps[2]",
        "inner[0]": "nodes.inner.steps[0]",
        "b": "nodes.inner.steps[1]",
    }


def test_a_name_that_is_another_steps_place_hides_no_step():
    graph = Graph({"nodes": {"root": node("Sequence", hard("root[1]"), {"serviceName": "c"})}}, "")

    assert {label: step.at for label, step in labels(graph).items()} == {
        "root[0]": "nodes.root.steps[0]",
        "root[1]": "nodes.root.steps[1]",
    }


def test_addresses_replace_services_and_leave_the_document_alone():
    graph = Graph({"nodes": {"root": node("Sequence", step("a"), {"serviceName": "c"})}}, "")

    spec = with_addresses(graph, {"nodes.root.steps[0]": "http://one/", "nodes.root.steps[1]": "http://two/"})

    assert [one["serviceUrl"] for one in spec["nodes"]["root"]["steps"]] == ["http://one/", "http://two/"]
    assert graph.nodes["root"].steps[1].service_url == ""


def test_a_step_that_is_none_or_no_mapping_is_left_to_the_router():
    graph = Graph({"nodes": {"root": {"routerType": "Sequence", "steps": [None, "two"]}}}, "")

    spec = with_addresses(graph, {"nodes.root.steps[0]": "http://one/", "nodes.root.steps[1]": "http://two/"})

    assert spec["nodes"]["root"]["steps"] == [{"serviceUrl": "http://one/"}, "two"]


def test_stubs_from_words(tmp_path: Path):
    file = tmp_path / "a:b.json"
    file.write_bytes(b"[1]")

    stubs = read_stubs([f"one={file}", f"two={file}:503", "three=down"])

    assert stubs["three"] is None
    replies = [stub(b"", {}) for stub in (stubs["one"], stubs["two"]) if stub]
    assert [(reply.status, reply.body) for reply in replies] == [(200, b"[1]"), (503, b"[1]")]


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("a", "'a' came; wanted STEP=FILE, STEP=FILE:STATUS or STEP=down"),
        ("=x", "wanted STEP=FILE"),
        ("a=", "wanted STEP=FILE"),
        ("a=x:99", "status 99 came; wanted 200 to 599"),
        ("a=/no/such.json", "/no/such.json cannot be read: No such file"),
        ("a=/no/such.json:²", "/no/such.json:² cannot be read: No such file"),
        ("a=x\0y", "cannot be read: embedded null byte"),
    ],
)
def test_a_word_that_is_no_stub_is_told(word: str, said: str):
    with pytest.raises(UsageError, match=said):
        read_stubs([word])


@pytest.mark.parametrize(
    ("stubs", "said"),
    [
        ({"a": A}, "no stub for b: add --stub b=FILE"),
        ({"a": A, "b": A, "c": A}, "the graph has no step c; it calls a, b"),
    ],
)
def test_stubs_and_steps_must_match(stubs: dict[str, object], said: str):
    graph = Graph({"nodes": {"root": node("Sequence", step("a"), step("b"))}}, "")

    with pytest.raises(UsageError, match=said):
        dry_run(graph, stubs, b"{}")  # type: ignore[arg-type]


def test_a_graph_that_goes_round_without_an_end_is_not_run():
    graph = Graph({"nodes": {"root": node("Sequence", step("a"), step("b", nodeName="root"))}}, "")

    with pytest.raises(UsageError, match=r"nodes\.root\.steps\[1\]\.nodeName: root → root goes round without an end"):
        dry_run(graph, {"a": A}, b"{}")
