"""How every Kafka client of ours connects: one place turns `settings.kafka` into kafka-python's arguments."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from kafka.errors import KafkaError

from watchnext.errors import ServerError
from watchnext.settings import Settings


def connection(settings: Settings) -> dict[str, Any]:
    """Arguments that `KafkaProducer`, `KafkaConsumer` and `KafkaAdminClient` share."""
    kafka = settings.kafka
    arguments: dict[str, Any] = {
        "bootstrap_servers": [part.strip() for part in kafka.bootstrap.split(",")],
        "security_protocol": kafka.security_protocol,
        "bootstrap_timeout_ms": 10_000,
    }
    if kafka.security_protocol.endswith("SSL") and kafka.ssl_cafile:
        arguments["ssl_cafile"] = kafka.ssl_cafile
    if kafka.security_protocol.startswith("SASL"):
        arguments["sasl_mechanism"] = kafka.sasl_mechanism
        arguments["sasl_plain_username"] = kafka.sasl_username
        arguments["sasl_plain_password"] = kafka.sasl_password.get_secret_value()
    return arguments


def reading(settings: Settings) -> dict[str, Any]:
    """`connection` and what a `KafkaConsumer` needs so that nothing is lost: its own defaults would lose data."""
    return {
        **connection(settings),
        "enable_auto_commit": False,
        "auto_offset_reset": "earliest",
        "isolation_level": "read_committed",
        "allow_auto_create_topics": False,
    }


@contextmanager
def connecting(settings: Settings) -> Iterator[None]:
    """For the making of a client, and questions to one: what it raises where no broker answers is a `ServerError`."""
    try:
        yield
    except (KafkaError, OSError) as error:
        raise ServerError(
            f"no Kafka broker answered at {settings.kafka.bootstrap} ({error}); start one with `watchnext up`, "
            "or set WATCHNEXT_KAFKA__BOOTSTRAP"
        ) from error
