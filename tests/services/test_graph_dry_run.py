"""`watchnext graph` as it is typed, on the real router."""

import json
import socket
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner, Result

from tests.services.graph_rig import hard, node, step
from watchnext.cli.graph import app
from watchnext.errors import ServerError, UsageError


@pytest.fixture
def graph(tmp_path: Path) -> Path:
    inner = {"root": node("Sequence", hard("a"), step("row", nodeName="row", data="$response"))}
    row = {"row": node("Switch", step("b", condition="vip"), {"serviceName": "c", "condition": "@this"})}
    spec = {"nodes": inner | row, "routerTimeouts": {"serviceClient": 5}}
    file = tmp_path / "graph.yaml"
    file.write_text(yaml.safe_dump(spec))
    for name, body in {"a": {"vip": 1}, "b": "B", "c": "C", "error": {"error": "no"}, "request": {"user": 7}}.items():
        (tmp_path / f"{name}.json").write_text(json.dumps(body))
    return file


def dry_run(graph: Path, *more: str, **stubs: str) -> Result:
    words = [f"--stub={step}={graph.parent / answer}" for step, answer in stubs.items() if answer != "down"]
    words += [f"--stub={step}=down" for step, answer in stubs.items() if answer == "down"]
    words += [f"--stub=row[1]={graph.parent / 'c.json'}", *more]
    return CliRunner().invoke(app, ["dry-run", str(graph), *words])


def test_each_hop_and_the_answer_are_told(graph: Path):
    run = dry_run(graph, f"--request={graph.parent / 'request.json'}", "--json", a="a.json", b="b.json:201")

    assert run.exit_code == 0
    assert json.loads(run.output) == {
        "hops": [
            {"step": "a", "received": '{"user": 7}', "status": 200, "answered": '{"vip": 1}'},
            {"step": "b", "received": '{"vip": 1}', "status": 201, "answered": '"B"'},
        ],
        "status": 201,
        "answer": '"B"',
    }


def test_an_answer_that_is_no_2xx_fails_and_people_read_a_table(graph: Path):
    run = dry_run(graph, a="error.json:503", b="b.json")

    assert run.exit_code == 1
    assert [line.split() for line in run.output.splitlines()[:2]] == [
        ["step", "received", "status", "answered"],
        ["a", "{}", "503", '{"error":', '"no"}'],
    ]
    assert 'graph: 503 {"error": "no"}' in run.output


def test_a_step_without_a_name_is_called_by_its_place_and_may_be_served_by_name_only(graph: Path):
    run = dry_run(graph, "--json", a="request.json", b="b.json")

    assert [hop["step"] for hop in json.loads(run.output)["hops"]] == ["a", "row[1]"]


def test_a_service_that_is_down_is_a_500(graph: Path):
    run = dry_run(graph, "--json", a="down", b="b.json")

    told = json.loads(run.output)
    assert run.exit_code == 1
    assert (told["hops"], told["status"]) == ([], 500)
    assert "connection refused" in told["answer"]


def test_a_port_in_use_is_told_with_its_holder(graph: Path):
    with socket.create_server(("127.0.0.1", 8080)):
        run = dry_run(graph, a="a.json", b="b.json")

    assert isinstance(run.exception, ServerError)
    assert "router needs port 8080" in str(run.exception)
    assert "KServe's router listens there always: stop that process" in str(run.exception)


def test_one_graph_at_a_time(graph: Path):
    graph.write_text(f"{graph.read_text()}---\n{graph.read_text()}")

    run = dry_run(graph)

    assert isinstance(run.exception, UsageError)
    assert "holds 2 graphs" in str(run.exception)
