"""From a Kafka record to an event, or to a dead letter that says where it stood and what is wrong with it."""

import base64
from typing import Any, Final

from watchnext.clock import DAY_MS
from watchnext.contracts.events import DeadLetter, Event, decode
from watchnext.contracts.names import COMPACTED_TOPICS, Topic
from watchnext.errors import EventError

_LETTER_BYTES: Final = 600_000  # of the original value: base64 adds a third, and the broker takes 1 MiB
_LETTER_KEY_BYTES: Final = 10_000
_MINUTE_MS: Final = DAY_MS // (24 * 60)


def read_message(
    topic: Topic, key: bytes | None, value: bytes | None, *, now_ms: int, future_minutes: float
) -> Event | None:
    """The event in a message; None for a tombstone of a compacted topic.

    Raises:
        EventError: not decodable, not of the topic's schema, under another key than its own, or from the future.
    """
    if not value and topic in COMPACTED_TOPICS:
        return None
    event = decode(topic, value)
    if key != event.key.encode():
        raise EventError(
            f"{topic.value}: the key is {_shown(key)}; wanted {event.key!r}, as in the message: events under another "
            "key fall in another partition, and their order is lost",
            reason="key",
        )
    if topic is Topic.VIDEO_DELTAS:  # of an event that was accepted, by a worker whose clock may be ahead of ours
        return event
    ahead_ms = event.at_ms - now_ms
    if ahead_ms > future_minutes * _MINUTE_MS:
        raise EventError(
            f"{topic.value}: its time {event.at_ms} is {ahead_ms / _MINUTE_MS:,.1f} minutes ahead of the clock; "
            f"at most {future_minutes:g} are accepted (features.future_minutes)",
            reason="future",
        )
    return event


def letter_key(record: Any) -> bytes | None:
    """The Kafka key of the letter about a `ConsumerRecord`: the record's own, cut to what a letter may carry."""
    return None if record.key is None else bytes(record.key[:_LETTER_KEY_BYTES])


def dead_letter(record: Any, error: EventError) -> DeadLetter:
    """The letter about a `ConsumerRecord`; a value that is too long to carry is cut, `value_bytes` tells its size."""
    value = record.value or b""
    return DeadLetter(
        topic=record.topic,
        partition=record.partition,
        offset=record.offset,
        error=str(error)[:2_000],
        key=base64.b64encode(letter_key(record) or b"").decode(),
        value=base64.b64encode(value[:_LETTER_BYTES]).decode(),
        value_bytes=len(value),
    )


def _shown(key: bytes | None) -> str:
    return "missing" if key is None else repr(key[:80].decode(errors="replace"))
