import json
from collections.abc import Iterator
from typing import Any

import pytest
from jsonschema import Draft7Validator, Draft202012Validator

from watchnext.errors import ConfigError
from watchnext.settings import Settings
from watchnext.settings_schema import SECRET, settings_schema

SECRETS = ["kafka.sasl_password", "features.online_password", "milvus.token", "gateway.api_keys"]


def complaints(tree: Any, **refused: str) -> list[str]:
    """What the schema says of a settings file, `place: words`."""
    errors = Draft7Validator(settings_schema(refused)).iter_errors(tree)
    return [f"{'.'.join(map(str, error.absolute_path))}: {error.message}" for error in errors]


def nodes(schema: Any) -> Iterator[dict[str, Any]]:
    """Each object of the schema's JSON."""
    if isinstance(schema, dict):
        yield schema
    for child in schema.values() if isinstance(schema, dict) else schema if isinstance(schema, list) else []:
        yield from nodes(child)


@pytest.mark.parametrize(
    "tree",
    [
        {},
        {"profile": "full"},
        {"kafka": {}},
        {"kafka": {"partitions": 24, "security_protocol": "SASL_SSL"}},
        {"features": {"late_days": 0.5}},
        {"training": {"tower": [512, 256], "gate_min_auc": 1}},
        {"gateway": {"write_served": False, "arms": {"a": 0.5, "b": 0.5}, "static_list": ["v1"]}},
    ],
)
def test_what_the_settings_take_passes(tree: dict[str, Any]) -> None:
    assert complaints(tree) == []
    Settings(**tree)


@pytest.mark.parametrize(
    ("tree", "words"),
    [
        ({"kafak": {}}, "'kafak' was unexpected"),
        ({"kafka": {"partitons": 8}}, "'partitons' was unexpected"),
        ({"kafka": {"partitions": "many"}}, "kafka.partitions: 'many' is not of type 'integer'"),
        ({"kafka": {"partitions": 0}}, "kafka.partitions: 0 is less than the minimum of 1"),
        ({"kafka": {"partitions": 1.5}}, "kafka.partitions: 1.5 is not of type 'integer'"),
        ({"kafka": []}, "kafka: [] is not of type 'object'"),
        ({"features": {"late_days": 0}}, "features.late_days: 0 is less than or equal to the minimum of 0"),
        ({"serving": {"candidates": 2001}}, "serving.candidates: 2001 is greater than the maximum of 2000"),
        ({"training": {"tower": ["wide"]}}, "training.tower.0: 'wide' is not of type 'integer'"),
        ({"training": {"pooling": "mean"}}, "'mean' is not one of ['average', 'sum', 'max', 'attention']"),
        ({"gateway": {"arms": {"a": "half"}}}, "gateway.arms.a: 'half' is not of type 'number'"),
        ({"profile": "huge"}, "profile: 'huge' is not one of ['tiny', 'small', 'full']"),
    ],
)
def test_what_the_settings_refuse_is_refused_by_name(tree: dict[str, Any], words: str) -> None:
    (complaint,) = complaints(tree)

    assert words in complaint
    with pytest.raises(ValueError, match="validation error"):
        Settings(**tree)


@pytest.mark.parametrize("key", SECRETS)
@pytest.mark.parametrize("value", ["hunter2", "", None, ["hunter2"], f"left out: {SECRET}"])
def test_a_secret_is_refused_whatever_it_holds(key: str, value: Any) -> None:
    section, name = key.split(".")

    (complaint,) = complaints({section: {name: value}})

    assert complaint.startswith(f"{key}: ")
    assert SECRET in complaint
    assert "hunter2" not in complaint


def test_no_other_setting_is_taken_for_a_secret() -> None:
    refusing = [node["const"] for node in nodes(settings_schema({})) if "not" in node]

    assert refusing == [f"left out: {SECRET}"] * len(SECRETS)


def test_a_setting_with_a_place_elsewhere_says_where() -> None:
    refused = {
        "home": "the chart sets it",
        "local": "no pod reads it",
        "milvus.token": "name its Secret in milvus.auth",
    }
    tree = {"home": "/data", "local": {"workers": 3}, "milvus": {"uri": "http://milvus:19530", "token": "t"}}

    assert complaints(tree, **refused) == [
        "home: 'left out: the chart sets it' was expected",
        "milvus.token: 'left out: name its Secret in milvus.auth' was expected",
        "local: 'left out: no pod reads it' was expected",
    ]


def test_a_place_for_a_setting_that_is_not_there_is_refused() -> None:
    with pytest.raises(
        ConfigError, match=r"refused: there is no setting kafka\.boostrap; did you mean kafka\.bootstrap"
    ):
        settings_schema({"kafka.boostrap": "set externalKafka.bootstrap"})


def test_helm_can_read_it_whatever_the_draft() -> None:
    schema = settings_schema({})

    Draft7Validator.check_schema(schema)
    Draft202012Validator.check_schema(schema)
    assert not {"$ref", "$defs", "required"} & {key for node in nodes(schema) for key in node}


def test_every_object_is_closed_but_the_mappings_with_keys_of_the_operators_own() -> None:
    objects = [node for node in nodes(settings_schema({})) if node.get("type") == "object"]

    shares = {"type": "number", "minimum": 0, "maximum": 1e9}
    assert [node["additionalProperties"] for node in objects if node["additionalProperties"]] == [shares]
    assert len(objects) > 10


def test_descriptions_and_defaults_are_kept() -> None:
    kafka = settings_schema({})["properties"]["kafka"]

    assert kafka["description"] == "The broker and our consumer groups."
    assert kafka["properties"]["batch_events"] == {
        "default": 5000,
        "description": "events folded and written together",
        "minimum": 1,
        "type": "integer",
    }
    assert "default" not in kafka


def test_the_defaults_pass_where_they_are_no_secrets() -> None:
    tree = json.loads(Settings().model_dump_json(exclude={section: {name} for section, name in map(split, SECRETS)}))

    assert complaints(tree) == []


def split(key: str) -> tuple[str, str]:
    section, _, name = key.partition(".")
    return section, name
