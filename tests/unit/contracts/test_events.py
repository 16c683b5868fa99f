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


IMPRESSION = '{"event_id":"e","request_id":"r","user_id":"u","video_id":"v","position":%s,"shown_at":1}'
SERVED = '{"request_id":"r","user_id":"u","served_at":1,"overlay":%s,"items":[]}'
LINE = '{"request_id":"r","user_id":"u","served_at":1,"items":[{"video_id":"v","position":%s,"sources":[]}]}'
DELTA = '{"video_id":"v","topic":"watch-events","partition":1,"offset":%s,"hour":1,"available_at":1}'
COUNTED = '{"video_id":"v","topic":"t","partition":1,"offset":1,"hour":1,"available_at":1,"watches":%s}'


@pytest.mark.parametrize(
    ("topic", "message", "largest"),
    [
        (Topic.IMPRESSION, IMPRESSION, 1_000_000),
        (Topic.SERVED, SERVED, 2_147_483_647),
        (Topic.SERVED, LINE, 1_000_000),
        (Topic.VIDEO_DELTAS, DELTA, 9_223_372_036_854_775_807),
        (Topic.VIDEO_DELTAS, COUNTED, 2_147_483_647),
    ],
)
def test_an_integer_that_fits_no_archive_column_is_refused(topic: Topic, message: str, largest: int):
    assert events.decode(topic, (message % largest).encode())
    for number in (largest + 1, 10**26, -1, -(10**26)):
        with pytest.raises(EventError, match=f"{topic.value}: "):
            events.decode(topic, (message % number).encode())


@pytest.mark.parametrize("topic", events.EVENT_OF_TOPIC)
def test_every_integer_of_an_event_has_bounds(topic: Topic):
    schemas = [field for kind in events.json_schema(topic)["$defs"].values() for field in kind["properties"].values()]
    integers = [one for field in schemas for one in field.get("anyOf", [field]) if one.get("type") == "integer"]

    assert all({"minimum", "maximum"} <= set(one) for one in integers), integers


REQUIRED = {
    Topic.WATCH: ["event_id", "user_id", "video_id", "started_at", "watch_seconds", "video_seconds", "completed"],
    Topic.SEARCH: ["event_id", "user_id", "query", "searched_at"],
    Topic.SERVED: ["user_id", "request_id", "served_at", "items"],
    Topic.IMPRESSION: ["event_id", "request_id", "user_id", "video_id", "position", "shown_at"],
    Topic.CATALOG: ["video_id", "uploaded_at", "video_seconds"],
    Topic.PROFILE: ["user_id"],
    Topic.DEAD_LETTERS: ["topic", "partition", "offset", "error"],
    Topic.VIDEO_DELTAS: ["video_id", "topic", "partition", "offset", "hour", "available_at"],
}


@pytest.mark.parametrize("topic", Topic)
def test_every_topic_has_a_schema_with_required_fields(topic: Topic):
    schema = events.json_schema(topic)
    message = schema["$defs"][schema["$ref"].rpartition("/")[2]]

    assert sorted(message["required"]) == sorted(REQUIRED[topic])
