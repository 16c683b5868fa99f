import os
from pathlib import Path

import pytest

from watchnext.clock import SystemClock
from watchnext.generation.manifest import Pointer, Replica, Target
from watchnext.generation.store import GenerationStore
from watchnext.local.heartbeats import replica_is_ready

LIVE, PREVIOUS = Target("0123456789abcdef", 2), Target("fedcba9876543210")


@pytest.fixture
def run(tmp_path: Path) -> Path:
    (tmp_path / "follower.pid").write_text(f"{os.getpid()} 1")
    return tmp_path


@pytest.fixture
def store(tmp_path: Path) -> GenerationStore:
    return GenerationStore(str(tmp_path / "generations"), clock=SystemClock())


def is_ready(run: Path, *, served: bool = True) -> bool:
    return replica_is_ready(run, "follower", str(run / "generations"), "ranker", lambda: served)


def beat(store: GenerationStore, *loaded: Target, refused: str = "") -> None:
    refusals = {refused: "RankerError: no worker"} if refused else {}
    name = f"ranker-host-{os.getpid()}"
    store.replicas.write(Replica(name=name, at=store.clock.now_ms(), loaded=list(loaded), refused=refusals))


def publish(store: GenerationStore) -> None:
    store.write_pointer(Pointer(generation=LIVE.generation, overlay=LIVE.overlay, previous=PREVIOUS))


def test_where_nothing_is_published_a_heart_that_beats_is_enough(run: Path, store: GenerationStore):
    assert not is_ready(run)
    beat(store)
    assert is_ready(run)


def test_what_is_live_is_waited_for(run: Path, store: GenerationStore):
    """`up` said that all is started, and for seconds no answer was ranked."""
    publish(store)
    beat(store, PREVIOUS)
    assert not is_ready(run)
    beat(store, PREVIOUS, LIVE)
    assert is_ready(run)


def test_what_torchserve_has_lost_is_waited_for(run: Path, store: GenerationStore):
    beat(store)
    assert is_ready(run, served=False)
    publish(store)
    beat(store, LIVE)
    assert not is_ready(run, served=False)


def test_a_generation_that_does_not_load_and_a_pointer_that_is_none_keep_nobody_waiting(
    run: Path, store: GenerationStore
):
    publish(store)
    beat(store, refused=str(LIVE))
    assert is_ready(run)
    beat(store)
    store.files.write("live.json", b"{")
    assert is_ready(run)
