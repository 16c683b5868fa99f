"""An online store that comes back empty stops the workers until the drill has filled it again."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis

from tests.services.conftest import private_settings
from tests.services.stream_rig import start_worker
from watchnext.contracts.events import SearchEvent
from watchnext.contracts.names import Topic, View
from watchnext.local import supervisor
from watchnext.settings import Settings
from watchnext.store.apply import apply
from watchnext.store.materialize import materialize
from watchnext.store.rows import FeatureStoreRows
from watchnext.stream.lag import wait_until_caught_up
from watchnext.stream.producer import EventProducer
from watchnext.stream.topics import ensure_topics


@pytest.fixture
def settings(tmp_path: Path) -> Iterator[Settings]:
    settings = private_settings(tmp_path)
    with supervisor.running(settings, only=("kafka", "valkey")):
        yield settings


def search(settings: Settings, number: int) -> None:
    event = SearchEvent(event_id=f"e{number}", user_id="u1", query=f"query {number}", searched_at=1_000 + number)
    with EventProducer(settings) as producer:
        producer.send(Topic.SEARCH, event)


def row(settings: Settings) -> Any:
    return FeatureStoreRows.open(settings).read_row(View.USER_SEARCHES, "u1")


def test_rows_are_not_folded_on_from_nothing_after_the_loss_of_the_online_store(settings: Settings) -> None:
    ensure_topics(settings)
    apply(settings)
    worker = start_worker(settings, "w0")
    search(settings, 1)
    wait_until_caught_up(settings, 60)
    host, port = settings.features.online.split(":")
    redis.Redis(host=host, port=int(port)).flushall()

    search(settings, 2)

    log, deadline = settings.home / "w0.log", time.monotonic() + 60
    while log.read_text().count("run `python -m watchnext.store.materialize`") < 2:  # at the fold, and on going back
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.1)
    assert row(settings) is None
    worker.terminate()
    worker.join(30)
    assert worker.exitcode == 0

    assert materialize(settings)[View.USER_SEARCHES] == 1
    worker = start_worker(settings, "w1")
    wait_until_caught_up(settings, 60)
    worker.terminate()
    worker.join(30)
    assert (row(settings).searches, row(settings).last_query) == (2, "query 2")
