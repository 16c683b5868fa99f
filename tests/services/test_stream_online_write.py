"""A worker that sleeps between looking at the online store and writing to it must not undo what others wrote."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.services.conftest import private_settings
from watchnext.contracts.names import View
from watchnext.contracts.rows import UserSearches
from watchnext.local import supervisor
from watchnext.settings import Settings
from watchnext.store.online import EntityRedisStore
from watchnext.store.rows import FeatureStoreRows

USERS = [f"u{number}" for number in range(5)]


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    settings = private_settings(tmp_path_factory.mktemp("online"))
    with supervisor.running(settings, only=("valkey",)):
        yield settings


def rows(timestamp: int, query: str) -> list[UserSearches]:
    return [UserSearches(entity_id=user, event_timestamp=timestamp, offset=1, last_query=query) for user in USERS]


@pytest.mark.parametrize("before", [0, 10])
def test_a_sleepers_rows_do_not_replace_newer_ones(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, before: int
) -> None:
    store = FeatureStoreRows.open(settings)
    start = 1_000 * (before + 1)
    if before:
        store.write(rows(start, "first"))
    execute = _pipeline(settings).execute
    asleep = True

    def slept(pipeline: Any, *arguments: Any, **options: Any) -> Any:
        """After the sleeper's first round trip, in which it looks at the timestamps, its successor writes."""
        nonlocal asleep
        answer = execute(pipeline, *arguments, **options)
        if asleep:
            asleep = False
            FeatureStoreRows.open(settings).write(rows(start + 200, "the successor's")[:3])
        return answer

    monkeypatch.setattr(_pipeline(settings), "execute", slept)
    store.write(rows(start + 100, "the sleeper's"))
    found = store.read_rows(View.USER_SEARCHES, USERS)
    assert [found[user].last_query for user in USERS] == 3 * ["the successor's"] + 2 * ["the sleeper's"]  # type: ignore[attr-defined]


def _pipeline(settings: Settings) -> Any:
    """The class of the store's pipelines."""
    config = FeatureStoreRows.open(settings)._config
    return type(EntityRedisStore()._get_client(config.online_store).pipeline())
