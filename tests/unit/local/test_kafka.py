from pathlib import Path

import pytest

from watchnext.local.kafka import properties

TEXT = properties(Path("/home/data"), 19092, 19093)


@pytest.mark.parametrize(
    "line",
    [
        "listeners=PLAINTEXT://127.0.0.1:19092,CONTROLLER://127.0.0.1:19093",
        "controller.quorum.voters=1@127.0.0.1:19093",
        "log.dirs=/home/data",
        "auto.create.topics.enable=false",
        "offsets.topic.num.partitions=1",
        "transaction.state.log.num.partitions=1",
        "transaction.state.log.min.isr=1",
        "group.initial.rebalance.delay.ms=0",
    ],
)
def test_the_broker_has(line: str):
    assert line in TEXT.splitlines()


def test_every_listener_is_on_loopback():
    addresses = [word for line in TEXT.splitlines() if "://" in line for word in line.partition("=")[2].split(",")]

    assert addresses
    assert all("://127.0.0.1:" in address for address in addresses)
