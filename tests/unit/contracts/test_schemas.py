"""Yesterday's messages read, yesterday's schemas hold, and the committed schemas are today's.

`schemas/` is what applications were given with 0.1.0. Its files are never changed; a field that is added later is
added there only by the release that publishes it.
"""

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from watchnext.contracts import events
from watchnext.contracts.names import Topic
from watchnext.contracts.schemas import schema_text

FROZEN = Path(__file__).parent / "schemas"
PUBLISHED = Path(__file__).parents[3] / "docs" / "schemas"
MESSAGES = json.loads((FROZEN / "messages.json").read_text())
FROZEN_TOPICS = [topic for topic in Topic if (FROZEN / f"{topic.value}.json").exists()]

# 0.1.0 left these integers open, and one that fits no archive column stopped every worker. No application ever sent a
# value beyond these bounds that anything here could read.
BOUNDS_SINCE = {
    "ImpressionEvent.position": {"maximum": 1_000_000},
    "ServedItem.position": {"maximum": 1_000_000},
    "ServedEvent.overlay": {"minimum": 0, "maximum": 2_147_483_647},
}


def frozen(topic: Topic) -> dict[str, Any]:
    return json.loads((FROZEN / f"{topic.value}.json").read_text())


@pytest.mark.parametrize("topic", Topic)
def test_the_published_schema_is_todays(topic: Topic):
    assert (PUBLISHED / f"{topic.value}.json").read_text() == schema_text(topic), "run `make schemas`"


def test_nothing_else_is_published():
    assert sorted(file.stem for file in PUBLISHED.iterdir()) == sorted(topic.value for topic in Topic)


@pytest.mark.parametrize(
    ("topic", "message", "read"),
    [(topic, entry["message"], entry["read"]) for topic, entries in MESSAGES.items() for entry in entries],
)
def test_yesterdays_message_reads(topic: str, message: dict[str, Any], read: dict[str, Any]):
    event = events.decode(Topic(topic), json.dumps(message).encode())

    assert {name: getattr(event, name) for name in read} == read


@pytest.mark.parametrize(
    ("topic", "message"),
    [(topic, entry["message"]) for topic, entries in MESSAGES.items() for entry in entries],
)
def test_the_schemas_accept_yesterdays_message(topic: str, message: dict[str, Any]):
    jsonschema.validate(message, frozen(Topic(topic)))
    jsonschema.validate(message, events.json_schema(Topic(topic)))


@pytest.mark.parametrize("topic", FROZEN_TOPICS)
def test_no_promise_of_the_frozen_schema_is_broken(topic: Topic):
    today = events.json_schema(topic)["$defs"]

    for name, promised in frozen(topic)["$defs"].items():
        assert set(today[name]["required"]) <= set(promised["required"]), "a new field needs a default"
        assert about_its_fields(today[name]) == about_its_fields(promised), "fields of tomorrow are ignored"
        for field, schema in promised["properties"].items():
            promise = without_words(schema) | BOUNDS_SINCE.get(f"{name}.{field}", {})
            assert without_words(today[name]["properties"][field]) == promise, f"{name}.{field}"


def test_every_topic_of_applications_is_frozen_with_messages():
    applications = {Topic.WATCH, Topic.SEARCH, Topic.SERVED, Topic.IMPRESSION, Topic.CATALOG, Topic.PROFILE}

    assert set(FROZEN_TOPICS) == applications
    assert {Topic(topic) for topic in MESSAGES} == applications


def about_its_fields(schema: dict[str, Any]) -> dict[str, Any]:
    """What a struct's schema says beside the fields: nothing of those that it does not name."""
    return {key: value for key, value in without_words(schema).items() if key not in ("properties", "required")}


def without_words(schema: Any) -> Any:
    """A schema without its descriptions."""
    if isinstance(schema, dict):
        return {key: without_words(value) for key, value in schema.items() if key != "description"}
    if isinstance(schema, list):
        return [without_words(value) for value in schema]
    return schema
