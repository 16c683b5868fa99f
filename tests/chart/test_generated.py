"""What is generated of the chart is today's; its values, their comments and their schema name the same keys.

The wrong values at the end are refused by Helm itself.
"""

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from helm.generate import (
    CHART,
    KUBERNETES,
    README,
    RENDERED,
    SCHEMA,
    documented,
    leaves,
    readme,
    rendered,
    schema_text,
    values_files,
    values_schema,
)
from tests.chart import binaries
from watchnext.settings import load_settings

MENDED_BY = "run `python helm/generate.py`"
VALUES = documented((CHART / "values.yaml").read_text())
NO_VALUE = {"global"}  # Helm's own
MISSING = object()


def test_the_schema_is_todays() -> None:
    assert SCHEMA.read_text() == schema_text(), MENDED_BY


def test_the_tables_of_the_readme_are_todays() -> None:
    assert README.read_text() == readme(), MENDED_BY


@pytest.mark.parametrize("name", values_files())
def test_the_rendered_objects_are_todays(name: str) -> None:
    kept = {file.name: file.read_text() for file in (RENDERED / name).glob("*")}

    assert kept == rendered(binaries.helm(), values_files()[name]), MENDED_BY


def test_nothing_is_rendered_for_values_files_that_are_gone() -> None:
    assert sorted(folder.name for folder in RENDERED.iterdir()) == sorted(values_files()), MENDED_BY


def test_a_comment_may_have_several_lines_and_a_mapping_may_be_one_value() -> None:
    text = """
# no comment of a value
image:
  # -- Tag; empty:
  # the newest.
  tag: v1
  # how often
  pull: never
# -- Limits.
resources:
  limits: {memory: 1Gi}
# -- Labels.
labels: {team: discovery}
"""
    assert [(value.key, value.default, value.comment) for value in documented(text)] == [
        ("image.tag", "v1", "Tag; empty: the newest."),
        ("image.pull", "never", ""),
        ("resources", {"limits": {"memory": "1Gi"}}, "Limits."),
        ("labels", {"team": "discovery"}, "Labels."),
    ]


def test_every_value_has_a_comment() -> None:
    assert [value.key for value in VALUES if not value.comment] == []


def test_values_and_schema_name_the_same_keys() -> None:
    keys = {value.key for value in VALUES}

    assert set(schema_keys(values_schema(), keys)) - NO_VALUE == keys


def schema_keys(schema: dict[str, Any], values: set[str], prefix: str = "") -> Iterator[str]:
    """The keys of a schema, down to those that are values or list no keys."""
    for name, child in schema["properties"].items():
        key = prefix + name
        if key in values or "properties" not in child:
            yield key
        else:
            yield from schema_keys(child, values, f"{key}.")


def test_all_options_sets_every_value_to_another_than_its_default() -> None:
    same = [one.key for one in VALUES if found(ci("all-options"), one.key) in (MISSING, one.default)]

    assert same == ["training.first.enabled"]  # Kubeflow makes none
    assert found(ci("own-stores"), "training.first.enabled") is True


def test_all_options_sets_every_setting_to_another_value_than_its_default() -> None:
    config = ci("all-options")["config"]
    settings = leaves(values_schema()["properties"]["config"])

    assert [key for key, schema in settings if found(config, key) in (MISSING, schema["default"])] == []


def ci(name: str) -> Any:
    return yaml.safe_load((CHART / "ci" / f"{name}.yaml").read_text())


def found(tree: Any, key: str) -> Any:
    for part in key.split("."):
        tree = tree.get(part, MISSING) if isinstance(tree, dict) else MISSING
    return tree


@pytest.mark.parametrize("name", values_files())
def test_the_processes_can_read_the_settings_of_the_chart(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (config,) = (RENDERED / name).glob("configmap-*-config.yaml")
    file = tmp_path / "config.yaml"
    file.write_text(yaml.safe_load(config.read_text())["data"]["config.yaml"])
    monkeypatch.setenv("WATCHNEXT_CONFIG", str(file))

    assert load_settings().serving.host == "0.0.0.0"


def test_a_setting_that_is_refused_is_sent_to_a_value_that_is_there() -> None:
    written = yaml.safe_load((CHART / "values.schema.yaml").read_text())
    refused = written["properties"]["config"]["refused"]
    named = {key for words in refused.values() for key in re.findall(r"[a-z]\w*(?:\.\w+)+", words)}

    assert [key for key, words in refused.items() if words.startswith("left out")] == []  # Helm is told that once
    assert len(named) >= 10
    assert named <= {value.key for value in VALUES}


@pytest.mark.parametrize(
    ("option", "words"),
    [
        ("gatway.replicas=2", "at '': additional properties 'gatway' not allowed"),
        ("gateway.replica=2", "at '/gateway': additional properties 'replica' not allowed"),
        ("gateway.replicas=two", "at '/gateway/replicas': got string, want integer"),
        ("gateway.replicas=0", "at '/gateway/replicas': minimum: got 0, want 1"),
        ("gateway.resources.limit.memory=1Gi", "at '/gateway/resources': additional properties 'limit' not allowed"),
        ("gateway.nodeSelector.gpu=true", "at '/gateway/nodeSelector/gpu': got boolean, want string"),
        ("kafka.mode=zookeeper", "at '/kafka/mode': value must be one of 'broker', 'strimzi'"),
        ("state.size=20gb", "at '/state/size': '20gb' does not match pattern"),
        ("state.accessModes={ReadWriteOncePod}", "at '/state/accessModes/0': value must be one of 'ReadWriteOnce', "),
        ("externalKafka.bootstrap=kafka", "at '/externalKafka/bootstrap': 'kafka' does not match pattern"),
        ("generations.url=generations", "at '/generations/url': 'generations' does not match pattern"),
        ("config.kafak.partitions=8", "at '/config': additional properties 'kafak' not allowed"),
        ("config.kafka.partitons=8", "at '/config/kafka': additional properties 'partitons' not allowed"),
        ("config.kafka.partitions=many", "at '/config/kafka/partitions': got string, want integer"),
        ("config.gateway.arms.a=half", "at '/config/gateway/arms/a': got string, want number"),
        ("config.home=/data", "at '/config/home': value must be 'left out: "),
        ("config=null", "at '': missing property 'config'"),  # as of a file that says `config:` and nothing below it
        ("externalKafka=null", "at '': missing property 'externalKafka'"),
        ("gateway.apiKeysSecret=null", "at '/gateway': missing property 'apiKeysSecret'"),
        (
            "config.kafka.sasl_password=hunter2",
            "/kafka/sasl_password': value must be 'left out: name its Secret in externalKafka.existingSecret'",
        ),
        (
            "config.gateway.api_keys={hunter2}",
            "at '/config/gateway/api_keys': value must be 'left out: name their Secret in gateway.apiKeysSecret.name'",
        ),
    ],
)
def test_helm_refuses_a_wrong_value_by_its_key(option: str, words: str) -> None:
    run = helm("template", "watchnext", str(CHART), "--set", option)

    assert run.returncode == 1
    assert words in run.stderr
    assert "hunter2" not in run.stderr


def test_lint_refuses_a_wrong_value_by_its_key() -> None:
    run = helm("lint", "--strict", str(CHART), "--set", "config.kafka.partitons=8")

    assert run.returncode == 1
    assert "at '/config/kafka': additional properties 'partitons' not allowed" in run.stdout


def test_a_parent_chart_may_hand_its_globals_down() -> None:
    run = helm(
        "template", "watchnext", str(CHART), "--set", "global.registry=mirror", "--show-only", "templates/state.yaml"
    )

    assert run.returncode == 0, run.stderr


def test_large_whole_numbers_reach_the_settings_whole() -> None:
    run = helm(
        "template", "watchnext", str(CHART), "--set-json", 'config={"kafka":{"session_timeout_ms":2000000}}',
        "--show-only", "templates/configmap.yaml",
    )  # fmt: skip

    assert "session_timeout_ms: 2000000\n" in run.stdout, run.stderr


def test_large_whole_numbers_reach_commands_and_the_scaler_whole() -> None:
    run = helm(
        "template", "watchnext", str(CHART), "--api-versions=keda.sh/v1alpha1",
        "--set-json", 'training.first={"enabled":true,"users":3000000,"days":2000000}',
        "--set-json", 'materializer.autoscaling={"enabled":true,"lagThreshold":1000000}',
    )  # fmt: skip

    assert '- "3000000"\n' in run.stdout, run.stderr
    assert '- "2000000"\n' in run.stdout
    assert 'lagThreshold: "1000000"\n' in run.stdout


def helm(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [str(binaries.helm()), *arguments, "--kube-version", KUBERNETES]
    return subprocess.run(command, capture_output=True, text=True, check=False)
