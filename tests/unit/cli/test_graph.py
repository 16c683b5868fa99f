import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from watchnext.cli.graph import app

CLEAN = """
nodes:
  root:
    routerType: Sequence
    steps: [{name: a, serviceUrl: "http://a/x"}]
routerTimeouts: {serviceClient: 5}
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "graph.yaml"


def test_a_clean_graph_passes_and_names_the_next_step(file: Path):
    file.write_text(CLEAN)

    run = CliRunner().invoke(app, ["lint", str(file), "--strict"])

    assert run.exit_code == 0
    assert f"{file}: 0 errors, 0 warnings" in run.output
    assert f"Next: `watchnext graph dry-run {file} --stub STEP=FILE`" in run.output


def test_warnings_fail_only_where_asked(file: Path):
    file.write_text(CLEAN.replace("http://a/x", "http://a"))

    assert CliRunner().invoke(app, ["lint", str(file)]).exit_code == 0
    assert CliRunner().invoke(app, ["lint", str(file), "--strict"]).exit_code == 1


def test_errors_fail_and_say_what_came_what_the_router_does_and_what_mends_it(file: Path):
    file.write_text(CLEAN)

    run = CliRunner().invoke(app, ["lint", str(file), "--propagate", "*Id"])

    assert run.exit_code == 1
    assert run.output.splitlines()[:4] == [
        "error: header-pattern at PROPAGATE_HEADERS[0]",
        '  came:   "*Id": no argument for repetition operator: *',
        "  router: The router logs that the pattern does not compile and does without it: its headers reach no step.",
        "  mend:   Write a regular expression of Go: .* where a glob has *, no look-around, no back-reference.",
    ]


def test_programs_read_the_same_as_json(file: Path):
    file.write_text(CLEAN.replace("serviceClient", "serviceclient"))

    run = CliRunner().invoke(app, ["lint", str(file), "--json"])

    told = json.loads(run.output)
    assert run.exit_code == 1
    assert told["file"] == str(file)
    assert [(one["rule"], one["severity"], one["path"]) for one in told["findings"]] == [
        ("unknown-field", "error", "routerTimeouts.serviceclient"),
        ("no-client-timeout", "warning", "routerTimeouts.serviceClient"),
    ]
    assert set(told["findings"][0]) == {"rule", "severity", "path", "came", "router", "mend"}
