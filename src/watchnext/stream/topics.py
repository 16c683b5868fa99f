"""The topics: created once, all with the same number of partitions, so that one user is one partition everywhere.

>>> topic_configs(Topic.CATALOG)
{'cleanup.policy': 'compact'}
"""

import time
from collections.abc import Mapping
from typing import Final

from kafka import KafkaAdminClient
from kafka.errors import KafkaError, TopicAlreadyExistsError

from watchnext.contracts.names import COMPACTED_TOPICS, Topic
from watchnext.contracts.rows import ROW_OF_TOPIC
from watchnext.errors import ConfigError, ServerError
from watchnext.settings import Settings
from watchnext.stream.client import connecting, connection

INPUT_TOPICS: Final = tuple(ROW_OF_TOPIC)  # what the group consumes, one view each

_RETRY_S: Final = 0.2


def topic_configs(topic: Topic) -> dict[str, str]:
    """Broker settings of a topic. The rest (retention, replicas) is the operator's and the broker's default."""
    return {"cleanup.policy": "compact"} if topic in COMPACTED_TOPICS else {}


def wait_for_broker(settings: Settings, *, timeout_s: float = 30.0) -> None:
    """Return once the broker answers.

    Raises:
        ServerError: it did not within `timeout_s`.
    """
    deadline = time.monotonic() + timeout_s
    while True:
        try:
            admin = _admin(settings)
            try:
                admin.list_topics()
            finally:
                admin.close()
            return
        except (KafkaError, OSError) as error:
            if time.monotonic() > deadline:
                raise ServerError(
                    f"no Kafka broker answered at {settings.kafka.bootstrap} within {timeout_s:.0f} s ({error}); "
                    "start one with `watchnext up`, or set WATCHNEXT_KAFKA__BOOTSTRAP"
                ) from error
            time.sleep(_RETRY_S)


def ensure_topics(settings: Settings, *, timeout_s: float = 30.0) -> None:
    """Create the topics that are missing and check the partition count of the others.

    Args:
        settings: for the broker, and the partition count.
        timeout_s: wait for the broker to answer.

    Raises:
        ConfigError: a topic has another partition count than `kafka.partitions`; keys would move between partitions.
        ServerError: the broker is down or refused.
    """
    wait_for_broker(settings, timeout_s=timeout_s)
    with connecting(settings):
        admin = _admin(settings)
    try:
        present = set(admin.list_topics())
        missing = [topic for topic in Topic if topic.value not in present]
        if missing:
            _create(admin, missing, settings.kafka.partitions)
        admin.wait_for_topics([topic.value for topic in Topic])
        _check_partitions(admin.describe_topics([topic.value for topic in Topic]), settings.kafka.partitions)
    except KafkaError as error:
        raise ServerError(f"the broker at {settings.kafka.bootstrap} did not create our topics: {error}") from error
    finally:
        admin.close()


def _create(admin: KafkaAdminClient, topics: list[Topic], partitions: int) -> None:
    specs = {topic.value: {"num_partitions": partitions, "configs": topic_configs(topic)} for topic in topics}
    try:
        admin.create_topics(specs)
    except TopicAlreadyExistsError:
        return  # another process was faster; `wait_for_topics` and the check below see to the result


def _check_partitions(described: list[Mapping[str, list[object]]], wanted: int) -> None:
    for topic in described:
        found = len(topic["partitions"])
        if found != wanted:
            raise ConfigError(
                f"topic {topic['name']} has {found} partitions, kafka.partitions is {wanted}; all topics need the "
                f"same count: set WATCHNEXT_KAFKA__PARTITIONS={found}, or delete the topic"
            )


def _admin(settings: Settings) -> KafkaAdminClient:
    return KafkaAdminClient(**connection(settings), client_id="watchnext-admin")
