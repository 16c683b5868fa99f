import pytest
from kafka import codec
from kafka.errors import KafkaTimeoutError

from watchnext.clock import SystemClock
from watchnext.contracts.names import Topic
from watchnext.errors import ServerError
from watchnext.settings import Settings
from watchnext.stream import catalogue, topics
from watchnext.stream.catalogue import CatalogueFollower
from watchnext.stream.client import connection, reading
from watchnext.stream.topics import ensure_topics, topic_configs


def test_bootstrap_may_name_several_brokers() -> None:
    settings = Settings(kafka={"bootstrap": "a:1, b:2"})
    assert connection(settings)["bootstrap_servers"] == ["a:1", "b:2"]


def test_sasl_over_ssl_carries_user_secret_and_authority() -> None:
    kafka = {
        "security_protocol": "SASL_SSL",
        "sasl_mechanism": "SCRAM-SHA-512",
        "sasl_username": "worker",
        "sasl_password": "secret",
        "ssl_cafile": "/etc/ca.crt",
    }
    arguments = connection(Settings(kafka=kafka))
    assert arguments["security_protocol"] == "SASL_SSL"
    assert arguments["sasl_mechanism"] == "SCRAM-SHA-512"
    assert arguments["sasl_plain_username"] == "worker"
    assert arguments["sasl_plain_password"] == "secret"
    assert arguments["ssl_cafile"] == "/etc/ca.crt"


def test_plain_text_sends_no_secret() -> None:
    assert not [name for name in connection(Settings()) if name.startswith(("sasl", "ssl"))]


def test_reading_overrides_the_defaults_that_lose_data() -> None:
    arguments = reading(Settings())
    assert arguments["enable_auto_commit"] is False
    assert arguments["auto_offset_reset"] == "earliest"
    assert arguments["isolation_level"] == "read_committed"


def test_a_worker_whose_broker_goes_away_while_it_connects_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker has no answer to kafka-python's own exceptions but a traceback."""

    def gone(**_: object) -> None:
        raise KafkaTimeoutError("Unable to bootstrap")

    monkeypatch.setattr(catalogue, "KafkaConsumer", gone)
    with pytest.raises(ServerError, match=r"no Kafka broker answered at a:1 .*WATCHNEXT_KAFKA__BOOTSTRAP"):
        CatalogueFollower(Settings(kafka={"bootstrap": "a:1"}), SystemClock())

    monkeypatch.setattr(topics, "wait_for_broker", lambda *_, **__: None)
    monkeypatch.setattr(topics, "KafkaAdminClient", gone)
    with pytest.raises(ServerError, match="no Kafka broker answered at a:1"):
        ensure_topics(Settings(kafka={"bootstrap": "a:1"}))


def test_each_codec_that_an_application_may_compress_with_can_be_read() -> None:
    assert codec.has_gzip()
    assert codec.has_lz4()
    assert codec.has_zstd()
    assert codec.snappy_decode(b"\x03\x08abc") == b"abc"


@pytest.mark.parametrize(
    ("topic", "compacted"),
    [
        (Topic.WATCH, False),
        (Topic.SEARCH, False),
        (Topic.SERVED, False),
        (Topic.IMPRESSION, False),
        (Topic.CATALOG, True),
        (Topic.PROFILE, True),
        (Topic.DEAD_LETTERS, False),
        (Topic.VIDEO_DELTAS, False),
    ],
)
def test_only_the_catalogue_and_the_profiles_are_compacted(topic: Topic, *, compacted: bool) -> None:
    assert (topic_configs(topic) == {"cleanup.policy": "compact"}) is compacted
