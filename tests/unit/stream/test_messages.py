import base64
from types import SimpleNamespace

import pytest

from watchnext.contracts.events import ImpressionEvent, SearchEvent, encode
from watchnext.contracts.names import Topic
from watchnext.errors import EventError
from watchnext.stream.counters import delta_of
from watchnext.stream.folds import Position
from watchnext.stream.messages import dead_letter, letter_key, read_message

GOOD = b'{"event_id":"e","user_id":"u","query":"cats","searched_at":1000}'


def read(value: bytes | None, *, key: bytes | None = b"u", topic: Topic = Topic.SEARCH, now_ms: int = 1_000) -> object:
    return read_message(topic, key, value, now_ms=now_ms, future_minutes=10)


def test_a_good_message() -> None:
    assert read(GOOD) == SearchEvent(event_id="e", user_id="u", query="cats", searched_at=1000)


@pytest.mark.parametrize(
    ("value", "key", "says"),
    [
        (None, b"u", "empty message"),
        (b"", b"u", "empty message"),
        (b"not json", b"u", "JSON is malformed"),
        (GOOD[:30], b"u", "truncated"),
        (b"\xff\xfe" + GOOD, b"u", "malformed"),
        (GOOD.replace(b"1000", b"NaN"), b"u", "malformed"),
        (GOOD.replace(b'"query"', b'"question"'), b"u", "missing required field `query`"),
        (GOOD.replace(b'"u"', b'""'), b"", "length >= 1"),
        (b"[" * 500_000, b"u", "search-events"),
        (GOOD[:-1] + b',"more":' + b"[" * 500_000, b"u", "recursion"),
        (GOOD + b" " * 1_000_000, b"u", "at most 1,000,000"),
        (GOOD, b"someone else", "the key is 'someone else'; wanted 'u'"),
        (GOOD, b"\xff", "wanted 'u'"),
        (GOOD, None, "the key is missing"),
    ],
)
def test_a_bad_message_is_told_what_is_wrong(value: bytes | None, key: bytes | None, says: str) -> None:
    with pytest.raises(EventError, match=says):
        read(value, key=key)


def test_ten_minutes_ahead_of_the_clock_is_accepted_and_no_more() -> None:
    event = GOOD.replace(b"1000", b"%d" % (10 * 60_000))
    assert read(event, now_ms=0)
    with pytest.raises(EventError, match=r"11\.0 minutes ahead"):
        read(GOOD.replace(b"1000", b"%d" % (11 * 60_000)), now_ms=0)


def test_the_delta_of_an_accepted_event_counts_for_a_worker_whose_clock_is_behind() -> None:
    shown = ImpressionEvent(event_id="e", user_id="u", request_id="r", video_id="v", position=0, shown_at=10 * 60_000)
    assert read(encode(shown), topic=Topic.IMPRESSION, now_ms=0)
    delta = delta_of(shown, Position(0, 0))
    assert delta is not None
    assert read(encode(delta), key=b"v", topic=Topic.VIDEO_DELTAS, now_ms=-1) == delta


@pytest.mark.parametrize("topic", [Topic.CATALOG, Topic.PROFILE])
def test_a_tombstone_of_a_compacted_topic_is_no_error(topic: Topic) -> None:
    assert read(None, topic=topic) is None


def record(key: bytes | None, value: bytes | None) -> SimpleNamespace:
    return SimpleNamespace(topic="search-events", partition=3, offset=42, key=key, value=value)


def test_a_dead_letter_has_the_position_the_bytes_and_the_error() -> None:
    letter = dead_letter(record(b"\xffk", b"\x00bad"), EventError("what was wrong"))
    assert (letter.topic, letter.partition, letter.offset) == ("search-events", 3, 42)
    assert base64.b64decode(letter.key) == b"\xffk"
    assert base64.b64decode(letter.value) == b"\x00bad"
    assert (letter.value_bytes, letter.error) == (4, "what was wrong")


def test_a_dead_letter_of_a_huge_message_fits_into_one() -> None:
    huge = record(b"k" * 500_000, b"x" * 10_000_000)
    letter, key = dead_letter(huge, EventError("e" * 100_000)), letter_key(huge)
    assert letter.value_bytes == 10_000_000
    assert key == b"k" * 10_000
    assert len(key) + len(letter.value) + len(letter.key) + len(letter.error) < 900_000


def test_a_dead_letter_of_nothing() -> None:
    letter = dead_letter(record(None, None), EventError("empty"))
    assert (letter.key, letter.value, letter.value_bytes) == ("", "", 0)
    assert letter_key(record(None, None)) is None
    assert letter_key(record(b"", None)) == b""
