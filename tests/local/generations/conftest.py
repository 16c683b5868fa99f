"""Generations of a test's own in a store of its own, and a Milvus Lite server for all."""

from pathlib import Path

import pytest

from tests.local.milvus_server import MilvusServer
from tests.unit.generation.world import parts
from watchnext.generation.build import build_generation
from watchnext.generation.store import GenerationStore
from watchnext.index.milvus import VideoIndex
from watchnext.settings import Generations, Milvus, Settings


@pytest.fixture
def settings(milvus_server: MilvusServer, tmp_path: Path) -> Settings:
    return Settings(
        home=tmp_path,
        milvus=Milvus(uri=milvus_server.uri),
        generations=Generations(ack_timeout_s=20, poll_s=0.02, refresh_minutes=60),
    )


@pytest.fixture
def store(settings: Settings) -> GenerationStore:
    return GenerationStore.open(settings)


@pytest.fixture
def index(settings: Settings) -> VideoIndex:
    return VideoIndex.open(settings)


@pytest.fixture
def first(store: GenerationStore, tmp_path: Path) -> str:
    """A generation of this test's own, so that tests share no Milvus collection."""
    return build_generation(store, parts(snapshot=f"{tmp_path}-1")).generation


@pytest.fixture
def second(store: GenerationStore, tmp_path: Path) -> str:
    return build_generation(store, parts(seed=2, snapshot=f"{tmp_path}-2")).generation


@pytest.fixture
def third(store: GenerationStore, tmp_path: Path) -> str:
    return build_generation(store, parts(seed=3, snapshot=f"{tmp_path}-3")).generation
