import json

import pytest

from watchnext.contracts import events
from watchnext.contracts.names import Topic
from watchnext.errors import EventError

WATCH = {
    "event_id": "e1",
    "user_id": "u1",
    "video_id": "v1",
    "started_at": 1_000,
    "watch_seconds": 2.5,
    "video_seconds": 60,
    "completed": False,
}


def test_a_watch_becomes_available_when_it_ends():
    event = events.decode(Topic.WATCH, json.dumps(WATCH).encode())

    assert isinstance(event, events.WatchEvent)
    assert (event.key, event.at_ms, event.request_id) == ("u1", 3_500, None)


def test_a_field_of_tomorrow_is_ignored():
    assert events.decode(Topic.WATCH, json.dumps(WATCH | {"mood": "happy"}).encode()).key == "u1"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"watch_seconds": -1}, "watch_seconds"),
        ({"video_seconds": 0}, "video_seconds"),
        ({"user_id": ""}, "user_id"),
        ({"user_id": 3}, "Expected `str`, got `int`"),
        ({"started_at": 1.5}, "started_at"),
        ({"started_at": 9_999_999_999_999}, "started_at"),
        ({"completed": 1}, "completed"),
    ],
)
def test_a_wrong_value_names_its_field(change: dict[str, object], message: str):
    with pytest.raises(EventError, match=message):
        events.decode(Topic.WATCH, json.dumps(WATCH | change).encode())


@pytest.mark.parametrize(
    "value",
    [
        None,
        b"",
        b"\x00\xff",
        b'{"watch_seconds": NaN}',
        b"[" * 200_000,
        b'{"a":' * 150_000 + b"1" + b"}" * 150_000,
        b'"' + b"x" * 1_000_000 + b'"',
    ],
    ids=["none", "empty", "binary", "nan", "deep list", "deep object", "long"],
)
def test_nonsense_is_an_event_error(value: bytes | None):
    with pytest.raises(EventError, match="watch-events: "):
        events.decode(Topic.WATCH, value)


@pytest.mark.parametrize("topic", events.EVENT_OF_TOPIC)
def test_every_topic_has_a_schema_with_required_fields(topic: Topic):
    schema = events.json_schema(topic)

    assert schema["$defs"], topic
