"""Bad messages become dead letters with their position; the rest goes through."""

import base64
import json
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.errors import KafkaTimeoutError

from tests.services.conftest import private_settings
from tests.services.stream_rig import start_worker
from watchnext.clock import SystemClock
from watchnext.contracts.events import (
    CatalogEvent,
    ImpressionEvent,
    ProfileEvent,
    SearchEvent,
    ServedEvent,
    ServedItem,
    VideoDelta,
    WatchEvent,
    encode,
)
from watchnext.contracts.names import Topic, View
from watchnext.contracts.rows import ROW_OF_TOPIC
from watchnext.errors import ConfigError, EventError
from watchnext.local import supervisor
from watchnext.settings import Settings
from watchnext.store.rows import FeatureStoreRows
from watchnext.stream.catalogue import CatalogueFollower
from watchnext.stream.client import connection, reading
from watchnext.stream.folds import VideoFacts
from watchnext.stream.lag import lag, total, wait_until_caught_up
from watchnext.stream.producer import EventProducer
from watchnext.stream.topics import ensure_topics

USER, VIDEO = b"u1", b"v"
PARTITION = 1
HUGE = b"1" + b"0" * 26
TOMORROW = int(time.time() * 1000) + 86_400_000


def search(number: int) -> bytes:
    return encode(SearchEvent(event_id=f"e{number}", user_id="u1", query=f"query {number}", searched_at=1_000 + number))


def watch(number: int) -> bytes:
    return encode(
        WatchEvent(
            event_id=f"e{number}",
            user_id="u1",
            video_id="v",
            started_at=1_000 + number,
            watch_seconds=0.5,
            video_seconds=7.5,
            completed=False,
        )
    )


def impression(number: int) -> bytes:
    return encode(
        ImpressionEvent(
            event_id=f"e{number}", request_id="r", user_id="u1", video_id="v", position=3, shown_at=1_000 + number
        )
    )


def served(number: int) -> bytes:
    items = [ServedItem(video_id="v", position=3, sources=["tower"], scores=[0.5])]
    return encode(ServedEvent(request_id=f"r{number}", user_id="u1", served_at=1_000 + number, overlay=7, items=items))


def profile(number: int) -> bytes:
    return encode(ProfileEvent(user_id="u1", birth_year=1990, updated_at=1_000 + number))


def video(number: int) -> bytes:
    return encode(CatalogEvent(video_id="v", channel_id=f"c{number}", uploaded_at=1_000 + number, video_seconds=7.5))


def delta(number: int) -> bytes:
    return encode(
        VideoDelta(
            video_id="v", topic="elsewhere", partition=1, offset=number, hour=3, available_at=1_000 + number, watches=5
        )
    )


GOOD: dict[Topic, tuple[bytes, Callable[[int], bytes]]] = {
    Topic.SEARCH: (USER, search),
    Topic.WATCH: (USER, watch),
    Topic.IMPRESSION: (USER, impression),
    Topic.SERVED: (USER, served),
    Topic.PROFILE: (USER, profile),
    Topic.CATALOG: (VIDEO, video),
    Topic.VIDEO_DELTAS: (VIDEO, delta),
}
BAD: dict[Topic, list[tuple[bytes | None, bytes | None]]] = {
    Topic.SEARCH: [
        (USER, None),
        (USER, b""),
        (USER, b"garbage \xff\x00"),
        (USER, search(90)[:-5]),
        (USER, search(91).replace(b'"searched_at":', b'"searched_on":')),
        (USER, search(92).replace(b"1092", b"%d" % TOMORROW)),
        (USER, search(93).replace(b"1093", b"NaN")),
        (USER, search(94).replace(b"query 94", b"\\ud800")),
        (b"u2", search(95)),
        (None, search(96)),
        (USER, b"[" * 400_000),
        (USER, b'{"a":' * 150_000),
        (USER, search(97) + b" " * 1_000_001),
        (b"k" * 500_000, b"garbage!" * 60_000),
    ],
    Topic.WATCH: [
        (USER, None),
        (USER, watch(90).replace(b"0.5", b"NaN")),
        (USER, watch(91).replace(b"0.5", b"1e400")),
        (USER, watch(92).replace(b"7.5", b"0")),
        (USER, watch(93).replace(b"1093", HUGE)),
    ],
    Topic.IMPRESSION: [
        (USER, impression(90).replace(b'"position":3', b'"position":-1')),
        (USER, impression(91).replace(b'"position":3', b'"position":' + HUGE)),
    ],
    Topic.SERVED: [
        (USER, served(90).replace(b'"position":3', b'"position":' + HUGE)),
        (USER, served(91).replace(b'"overlay":7', b'"overlay":' + HUGE)),
        (USER, served(92).replace(b'"overlay":7', b'"overlay":-' + HUGE)),
        (USER, served(93).replace(b"[0.5]", b"[Infinity]")),
    ],
    Topic.PROFILE: [
        (USER, profile(90).replace(b"1990", HUGE)),
        (VIDEO, profile(91)),
    ],
    Topic.CATALOG: [
        (VIDEO, video(90).replace(b"7.5", b"-1")),
        (VIDEO, video(91).replace(b"1091", b"%d" % TOMORROW)),
    ],
    Topic.VIDEO_DELTAS: [
        (VIDEO, delta(90).replace(b'"watches":5', b'"watches":' + HUGE)),
        (VIDEO, delta(91).replace(b'"offset":91', b'"offset":' + HUGE)),
        (VIDEO, None),
    ],
}


FOLDED: dict[Topic, Callable[[Any], int]] = {  # how many good messages a row tells of
    Topic.SEARCH: lambda row: row.searches,
    Topic.WATCH: lambda row: row.watches,
    Topic.IMPRESSION: lambda row: row.impressions,
    Topic.SERVED: lambda row: row.servings,
    Topic.PROFILE: lambda row: row.offset // 2 + 1,  # the last of them is the row
    Topic.CATALOG: lambda row: row.offset // 2 + 1,
    Topic.VIDEO_DELTAS: lambda row: row.origin_offsets[row.origins.index("elsewhere/1")] + 1,
}


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
        for topic, messages in BAD.items():
            good_key, good = GOOD[topic]
            for number, (key, value) in enumerate(messages):
                producer.send_raw(topic, good_key, good(number), partition=PARTITION)
                producer.send_raw(topic, key, value, partition=PARTITION)
        producer.send_raw(Topic.PROFILE, USER, None)
    _send_with_snappy(settings)
    worker = start_worker(settings, "w0")
    wait_until_caught_up(settings, 120)
    worker.terminate()
    worker.join(30)
    assert worker.exitcode == 0
    return _read_letters(settings)


def _send_with_snappy(settings: Settings) -> None:
    """A search as an application sends it that has chosen its own compression; the topics keep it."""
    application = KafkaProducer(**connection(settings), compression_type="snappy")
    value = encode(SearchEvent(event_id="e", user_id="u3", query="snappy", searched_at=1_000))
    application.send(Topic.SEARCH.value, key=b"u3", value=value).get(timeout=30)
    application.close()


def _read_letters(settings: Settings) -> list[dict[str, Any]]:
    consumer = KafkaConsumer(**reading(settings), consumer_timeout_ms=3_000)
    consumer.assign([TopicPartition(Topic.DEAD_LETTERS.value, number) for number in range(settings.kafka.partitions)])
    letters = [json.loads(record.value) for record in consumer]
    consumer.close()
    return sorted(letters, key=lambda letter: (str(letter["topic"]), int(letter["offset"])))


@pytest.mark.parametrize("topic", BAD)
def test_every_bad_message_is_a_dead_letter_with_its_position(letters: list[dict[str, Any]], topic: Topic) -> None:
    of_topic = [letter for letter in letters if letter["topic"] == topic.value]
    assert [(letter["partition"], letter["offset"]) for letter in of_topic] == [
        (PARTITION, 2 * number + 1) for number in range(len(BAD[topic]))
    ]
    for letter, (key, value) in zip(of_topic, BAD[topic], strict=True):
        assert base64.b64decode(letter["key"]) == (key or b"")[:10_000]
        assert base64.b64decode(letter["value"]) == (value or b"")[:600_000]
        assert letter["value_bytes"] == len(value or b"")
        assert letter["error"].startswith(f"{topic.value}: ")


def test_the_good_messages_between_them_went_through(settings: Settings, letters: list[dict[str, Any]]) -> None:
    store = FeatureStoreRows.open(settings)
    rows = store.read_rows(View.USER_SEARCHES, ["u1", "u2"])
    assert set(rows) == {"u1"}
    for topic, messages in BAD.items():
        assert messages
        row: Any = store.read_row(ROW_OF_TOPIC[topic].VIEW, GOOD[topic][0].decode())
        assert FOLDED[topic](row) == len(messages), topic
    assert total(lag(settings)) == 0


def test_a_batch_compressed_with_snappy_stops_nobody(settings: Settings, letters: list[dict[str, Any]]) -> None:
    row: Any = FeatureStoreRows.open(settings).read_row(View.USER_SEARCHES, "u3")
    assert row.last_query == "snappy"


def test_a_video_that_is_a_dead_letter_gives_no_channel_to_watches(
    settings: Settings, letters: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last message of the video is from tomorrow; the first answer of the broker is an error."""
    ends, asked = KafkaConsumer.end_offsets, []

    def fail_once(consumer: KafkaConsumer, partitions: Any) -> Any:
        asked.append(partitions)
        if len(asked) == 1:
            raise KafkaTimeoutError("no leader yet")
        return ends(consumer, partitions)

    monkeypatch.setattr(KafkaConsumer, "end_offsets", fail_once)
    follower = CatalogueFollower(settings, SystemClock())
    follower.catch_up(threading.Event(), turn=lambda: None)
    follower.close()
    assert len(asked) == 2
    assert follower.videos == {"v": VideoFacts("c1", ())}


def test_a_worker_stops_while_it_reads_the_catalogue(settings: Settings, letters: list[dict[str, Any]]) -> None:
    follower, stop = CatalogueFollower(settings, SystemClock()), threading.Event()
    stop.set()
    follower.catch_up(stop, turn=lambda: None)
    follower.close()
    assert follower.videos == {}


def test_ten_megabytes_are_refused_at_the_producer(settings: Settings) -> None:
    with EventProducer(settings) as producer, pytest.raises(EventError, match="10,000,000 bytes is too large"):
        producer.send_raw(Topic.SEARCH, USER, b"x" * 10_000_000)


def test_topics_of_another_partition_count_are_refused(settings: Settings, letters: list[dict[str, Any]]) -> None:
    kafka = settings.kafka.model_copy(update={"partitions": 3})
    with pytest.raises(ConfigError, match=r"has 4 partitions, kafka\.partitions is 3"):
        ensure_topics(settings.model_copy(update={"kafka": kafka}))


def test_a_worker_needs_no_registered_definitions(settings: Settings, letters: list[dict[str, Any]]) -> None:
    """On a fresh cluster the job that registers them runs after the workers have begun."""
    assert not Path(settings.registry_path).exists()
