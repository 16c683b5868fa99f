"""Bad messages become dead letters with their position; the rest goes through."""

import base64
import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
from kafka import KafkaConsumer, TopicPartition

from tests.services.conftest import private_settings
from tests.services.stream_rig import start_worker
from watchnext.contracts.events import CatalogEvent, SearchEvent, encode
from watchnext.contracts.names import Topic, View
from watchnext.errors import ConfigError, EventError
from watchnext.local import supervisor
from watchnext.settings import Settings
from watchnext.store.rows import FeatureStoreRows
from watchnext.stream.client import reading
from watchnext.stream.lag import lag, total, wait_until_caught_up
from watchnext.stream.producer import EventProducer
from watchnext.stream.topics import ensure_topics

USER = b"u1"
PARTITION = 1
TOMORROW = int(time.time() * 1000) + 86_400_000


def search(number: int) -> bytes:
    return encode(SearchEvent(event_id=f"e{number}", user_id="u1", query=f"query {number}", searched_at=1_000 + number))


BAD: list[tuple[bytes | None, bytes | None]] = [
    (USER, None),
    (USER, b""),
    (USER, b"garbage \xff\x00"),
    (USER, search(90)[:-5]),
    (USER, search(91).replace(b'"searched_at":', b'"searched_on":')),
    (USER, search(92).replace(b"1092", b"%d" % TOMORROW)),
    (b"u2", search(93)),
    (None, search(94)),
    (USER, b"[" * 400_000),
    (USER, b'{"a":' * 150_000),
    (USER, search(95) + b" " * 1_000_001),
]


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    settings = private_settings(tmp_path_factory.mktemp("bad"))
    with supervisor.running(settings, only=("kafka", "valkey")):
        yield settings


@pytest.fixture(scope="module")
def letters(settings: Settings) -> list[dict[str, Any]]:
    """The dead letters after good and bad messages, in turn, went through one worker."""
    ensure_topics(settings)
    with EventProducer(settings) as producer:
        for number, (key, value) in enumerate(BAD):
            producer.send_raw(Topic.SEARCH, USER, search(number), partition=PARTITION)
            producer.send_raw(Topic.SEARCH, key, value, partition=PARTITION)
        producer.send_raw(Topic.PROFILE, USER, None)
        producer.send(Topic.CATALOG, CatalogEvent(video_id="v", uploaded_at=1, video_seconds=1))
    worker = start_worker(settings, "w0")
    wait_until_caught_up(settings, 120)
    status = json.loads((settings.home / "run" / "w0.json").read_text())
    assert status["state"] == "ready"
    worker.terminate()
    worker.join(30)
    assert worker.exitcode == 0
    assert not (settings.home / "run" / "w0.json").exists()
    return _read_letters(settings)


def _read_letters(settings: Settings) -> list[dict[str, Any]]:
    consumer = KafkaConsumer(**reading(settings), consumer_timeout_ms=3_000)
    consumer.assign([TopicPartition(Topic.DEAD_LETTERS.value, number) for number in range(settings.kafka.partitions)])
    letters = [json.loads(record.value) for record in consumer]
    consumer.close()
    return sorted(letters, key=lambda letter: int(letter["offset"]))


def test_every_bad_message_is_a_dead_letter_with_its_position(letters: list[dict[str, Any]]) -> None:
    assert [(letter["topic"], letter["partition"], letter["offset"]) for letter in letters] == [
        ("search-events", PARTITION, 2 * number + 1) for number in range(len(BAD))
    ]
    for letter, (key, value) in zip(letters, BAD, strict=True):
        assert base64.b64decode(letter["key"]) == (key or b"")
        assert base64.b64decode(letter["value"]) == (value or b"")[:600_000]
        assert letter["value_bytes"] == len(value or b"")
        assert letter["error"].startswith("search-events: ")


def test_the_good_messages_between_them_went_through(settings: Settings, letters: list[dict[str, Any]]) -> None:
    row = FeatureStoreRows.open(settings).read_rows(View.USER_SEARCHES, ["u1", "u2"])
    assert set(row) == {"u1"}
    assert row["u1"].searches == len(BAD)  # type: ignore[attr-defined]
    assert row["u1"].last_query == f"query {len(BAD) - 1}"  # type: ignore[attr-defined]
    assert total(lag(settings)) == 0


def test_ten_megabytes_are_refused_at_the_producer(settings: Settings) -> None:
    with EventProducer(settings) as producer, pytest.raises(EventError, match="10,000,000 bytes is too large"):
        producer.send_raw(Topic.SEARCH, USER, b"x" * 10_000_000)


def test_topics_of_another_partition_count_are_refused(settings: Settings, letters: list[dict[str, Any]]) -> None:
    kafka = settings.kafka.model_copy(update={"partitions": 3})
    with pytest.raises(ConfigError, match=r"has 4 partitions, kafka\.partitions is 3"):
        ensure_topics(settings.model_copy(update={"kafka": kafka}))
