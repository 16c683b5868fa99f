from pathlib import Path

import pandas as pd
import pytest

from watchnext.contracts.names import Topic
from watchnext.contracts.rows import UserSearches
from watchnext.errors import StoreError
from watchnext.settings import Features, Settings
from watchnext.store.apply import apply
from watchnext.store.materialize import materialize
from watchnext.store.offline import OfflineLog
from watchnext.store.pit import point_in_time


@pytest.fixture(
    params=["sqlite:////nowhere/registry.db", "postgresql+nodriver://feast:hunter2@127.0.0.1/feast", "garbage.db"],
    ids=["no database", "no driver", "no registry"],
)
def settings(tmp_path: Path, request: pytest.FixtureRequest) -> Settings:
    """Of a registry that cannot be had."""
    registry = request.param
    if registry == "garbage.db":
        registry = str(tmp_path / registry)
        Path(registry).write_bytes(b"\xff\xfe garbage")
    return Settings(home=tmp_path, features=Features(registry=registry))


def test_a_registry_that_cannot_be_had_is_named(settings: Settings) -> None:
    with pytest.raises(StoreError, match="the definitions cannot be registered in") as raised:
        apply(settings)

    assert "hunter2" not in str(raised.value)


@pytest.mark.parametrize("folder", ["feast", "offline"])
def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path, folder: str) -> None:
    (tmp_path / folder).write_text("a file")

    with pytest.raises(StoreError, match=rf"the definitions cannot be registered in .*{tmp_path / folder}"):
        apply(Settings(home=tmp_path))


def test_who_asks_a_registry_that_cannot_be_had_is_told(settings: Settings) -> None:
    """The recovery drill and a training ended in tracebacks."""
    row = UserSearches(entity_id="u", event_timestamp=1, partition=0, offset=0)
    OfflineLog(settings.offline_path, row.VIEW).write_part(Topic.SEARCH, 0, 0, 0, [row])
    keys = pd.DataFrame({"user_id": ["u"], "event_timestamp": pd.to_datetime([1], utc=True)})

    for ask in (lambda: materialize(settings), lambda: point_in_time(settings, row.VIEW, keys)):
        with pytest.raises(StoreError, match="cannot be asked for") as raised:
            ask()
        assert "hunter2" not in str(raised.value)
