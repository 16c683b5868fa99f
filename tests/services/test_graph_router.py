"""What the linter says of a graph, held against KServe's own router, webhook and resource definition.

That it says so, and no more once the graph is mended, is tested on the same cases in `tests/unit/graph/test_rules.py`.
"""

import json
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml
from jsonschema import Draft202012Validator

from tests.chart.crds import MODULES, module_files
from tests.chart.schemas import closed
from tests.services.graph_cases import CASES
from tests.services.graph_rig import Case, Trial
from watchnext.errors import ServerError
from watchnext.graph import shape
from watchnext.graph.lint import RULES
from watchnext.graph.router_run import router_on
from watchnext.local.cache import ARTIFACTS, place_of, scratch
from watchnext.local.downloads import build_go

RULE = {rule.name: rule for rule in RULES}
WEBHOOK_SOURCE = Path(__file__).parent / "graph_webhook" / "main.go"


def name_of(case: Case) -> str:
    return f"{case.rule}: {case.what}"


@pytest.mark.parametrize("case", CASES, ids=name_of)
def test_the_router_does_what_the_message_says(case: Case):
    if case.broken.starts:
        case.broken.check()
    else:
        with (
            pytest.raises(ServerError, match="failed to unmarshall inference graph json"),
            router_on(json.dumps(case.broken.document["spec"])),
        ):
            pass


@pytest.mark.parametrize(
    "case",
    {id(case.mended): case for case in CASES}.values(),  # many are mended to the same graph
    ids=name_of,
)
def test_the_router_serves_the_mended_graph(case: Case):
    case.mended.check()


def test_the_webhook_and_the_api_server_refuse_what_the_messages_say(definition: Draft202012Validator, webhook: Path):
    admitted = []
    for case in CASES:
        said = RULE[case.rule].router
        refused = list(definition.iter_errors(case.broken.document))
        assert bool(refused) == ("The API server refuses" in said or "`kubectl apply` refuses" in said), case
        assert not list(definition.iter_errors(case.mended.document)), case
        if not refused:
            admitted.append(case)

    answers = of_webhook(webhook, [case.broken for case in admitted])
    for case, answer in zip(admitted, answers, strict=True):
        assert bool(answer) == ("webhook refuses" in RULE[case.rule].router), (case, answer)
    assert not any(of_webhook(webhook, [case.mended for case in CASES]))


def test_the_linter_knows_the_fields_and_words_of_the_resource_definition(definition: Draft202012Validator):
    spec = definition.schema["properties"]["spec"]["properties"]
    node = spec["nodes"]["additionalProperties"]["properties"]
    step = node["steps"]["items"]["properties"]

    assert types_of(spec) == shape.SPEC_FIELDS
    assert types_of(spec["routerTimeouts"]["properties"]) == shape.TIMEOUT_FIELDS
    assert types_of(node) == shape.NODE_FIELDS
    assert types_of(step) == shape.STEP_FIELDS
    assert set(node["routerType"]["enum"]) == set(shape.ROUTER_TYPES)
    assert set(step["dependency"]["enum"]) == set(shape.DEPENDENCIES)
    assert set(spec["scaleMetric"]["enum"]) == set(shape.SCALE_METRICS)


@pytest.fixture(scope="module")
def definition() -> Draft202012Validator:
    """The InferenceGraph's schema, closed as `kubectl apply` reads it."""
    (file,) = [one for one in module_files(MODULES["kserve"]) if one.name.endswith("_inferencegraphs.yaml")]
    (version,) = yaml.safe_load(file.read_text())["spec"]["versions"]
    assert version["name"] == "v1alpha1"
    return Draft202012Validator(closed(version["schema"]["openAPIV3Schema"]))


def webhook_program() -> Path:
    """KServe's validation as a program, built once from the modules of the router."""
    router = ARTIFACTS / "router"
    binary = place_of("graph-webhook", router / "go.mod", router / "go.sum", WEBHOOK_SOURCE) / "graph-webhook"
    if not binary.exists():
        with scratch() as folder:
            module = shutil.copytree(router, folder / "module")
            shutil.copy(WEBHOOK_SOURCE, module)
            build_go(".", module, binary)
    return binary


@pytest.fixture(scope="module")
def webhook() -> Path:
    """The program, there."""
    return webhook_program()


def of_webhook(webhook: Path, trials: list[Trial]) -> list[str]:
    listed = json.dumps([trial.document for trial in trials])
    run = subprocess.run([webhook], input=listed, capture_output=True, text=True, check=True)
    said: list[str] = json.loads(run.stdout)
    return said


def types_of(properties: dict[str, dict[str, object]]) -> dict[str, shape.Kind]:
    kinds = {"string": str, "integer": int, "boolean": bool, "object": dict, "array": list}
    return {name: kinds[str(one["type"])] for name, one in properties.items()}
