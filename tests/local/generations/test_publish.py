"""Publishing and rolling back, with real followers and a real Milvus Lite server."""

import threading
import time
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest

from tests.local.generations.changes import beside_a_hung_replica, eventually, refusing, serving
from tests.local.milvus_server import MilvusServer
from tests.unit.generation.world import HOUR_MS, VIDEOS
from watchnext.clock import FixedClock
from watchnext.errors import GenerationError, NoGenerationError, VectorIndexError
from watchnext.generation import publish as publish_module
from watchnext.generation.bundle import Bundle
from watchnext.generation.collection import load_index, verify_index
from watchnext.generation.follow import Follower
from watchnext.generation.lock import publishing
from watchnext.generation.manifest import Replica, Target
from watchnext.generation.publish import publish, rollback
from watchnext.generation.store import GenerationStore
from watchnext.index.milvus import VideoIndex
from watchnext.settings import Milvus, Settings


def test_without_replicas_the_pointer_moves_directly(
    store: GenerationStore, settings: Settings, index: VideoIndex, first: str
):
    store.replicas.write(Replica(name="killed", at=store.clock.now_ms() - 25 * HOUR_MS))
    pointer = publish(store, first, 0, settings)
    assert store.files.names("replicas") == []
    assert pointer == store.pointer()
    assert (pointer.live, pointer.previous, pointer.staged) == (Target(first), None, None)
    assert index.count(store.manifest(first).collection) == VIDEOS


def test_replicas_switch_without_ever_serving_nothing(
    store: GenerationStore, settings: Settings, first: str, second: str
):
    publish(store, first, 0, settings)
    seen: dict[str, list[Target | None]] = {"r1": [], "r2": []}
    stop = threading.Event()
    with ExitStack() as stack:
        followers = {
            name: stack.enter_context(Follower(store, name, store.load, poll_s=settings.generations.poll_s))
            for name in seen
        }
        for following in followers.values():
            assert following.wait(20).id == first

        def ask() -> None:
            while not stop.wait(0.001):
                for name, following in followers.items():
                    seen[name].append(serving(following.current()))

        asking = threading.Thread(target=ask)
        asking.start()
        publish(store, second, 0, settings)
        began = time.monotonic()
        eventually(lambda: all(serving(one.current()) == Target(second) for one in followers.values()))
        assert time.monotonic() - began < 10
        assert all(one.get(first, 0) is not None for one in followers.values())
        rollback(store)
        eventually(lambda: all(serving(one.current()) == Target(first) for one in followers.values()))
        stop.set()
        asking.join()
    for targets in seen.values():
        assert set(targets) == {Target(first), Target(second)}  # nobody ever saw None


def test_the_pointer_waits_for_every_live_replica(store: GenerationStore, settings: Settings, first: str, second: str):
    publish(store, first, 0, settings)
    gate = threading.Event()

    def slow(generation: str, overlay: int) -> Bundle:
        assert generation == first or gate.wait(20)
        return store.load(generation, overlay)

    poll_s = settings.generations.poll_s
    with (
        Follower(store, "quick", store.load, poll_s=poll_s) as quick,
        Follower(store, "slow", slow, poll_s=poll_s) as one,
    ):
        assert quick.wait(20).id == one.wait(20).id == first
        publisher = threading.Thread(target=publish, args=(store, second, 0, settings))
        publisher.start()
        eventually(lambda: quick.get(second, 0) is not None)
        time.sleep(0.2)
        assert store.live() == Target(first)
        assert serving(quick.current()) == Target(first)
        gate.set()
        publisher.join(20)
        assert store.live() == Target(second)


def test_a_replica_that_does_not_load_in_time_is_named_and_nothing_moves(
    store: GenerationStore, settings: Settings, first: str, second: str
):
    publish(store, first, 0, settings)
    hasty = beside_a_hung_replica(store, settings, Target(second))
    with pytest.raises(GenerationError, match=r"hung did not load .* within 0\.3 s"):
        publish(store, second, 0, hasty)
    assert (store.pointer().live, store.pointer().staged) == (Target(first), None)


def test_a_refusal_fails_the_publish_at_once_with_the_reason(
    store: GenerationStore, settings: Settings, first: str, second: str
):
    publish(store, first, 0, settings)
    with refusing(store, second, "no memory for 61 vectors") as following:
        with pytest.raises(GenerationError, match=r"r1 refuses .*: GenerationError: no memory for 61 vectors"):
            publish(store, second, 0, settings)
        assert (store.pointer().live, store.pointer().staged) == (Target(first), None)
        assert following.current() == first


def test_a_damaged_generation_is_not_even_staged(store: GenerationStore, settings: Settings, first: str):
    store.files.write(f"{first}/ranker.safetensors", b"")
    with pytest.raises(GenerationError, match=r"ranker\.safetensors has 0 bytes"):
        publish(store, first, 0, settings)
    with pytest.raises(NoGenerationError):
        store.live()


def test_a_collection_with_too_few_or_other_vectors_does_not_verify_and_is_written_again(
    store: GenerationStore, index: VideoIndex, first: str
):
    bundle = store.load(first)
    rows = np.arange(1, VIDEOS + 1, dtype=np.int32)
    index.create(bundle.collection, rows[:10], bundle.vectors[1:11])
    with pytest.raises(GenerationError, match="has 10 rows"):
        verify_index(bundle, index)
    load_index(bundle, index)
    assert verify_index(bundle, index) >= 0.95

    index.create(bundle.collection, rows, -bundle.vectors[1:])
    with pytest.raises(GenerationError, match=r"finds 0\.\d+ of the true top 30"):
        verify_index(bundle, index)
    load_index(bundle, index)
    assert verify_index(bundle, index) >= 0.95


def test_milvus_down_fails_the_publish_and_moves_nothing(
    store: GenerationStore, settings: Settings, tmp_path: Path, first: str
):
    down = settings.model_copy(update={"milvus": Milvus(uri=MilvusServer(tmp_path).uri)})
    with pytest.raises(VectorIndexError, match="is it up"):
        publish(store, first, 0, down)
    assert store.pointer().live is None


def test_two_publishers_do_not_meet(store: GenerationStore, settings: Settings, first: str):
    with (
        publishing(store.files, store.clock, hold_s=60),
        pytest.raises(GenerationError, match="is publishing to"),
    ):
        publish(store, first, 0, settings)


def test_a_publisher_whose_lock_ran_out_before_it_staged_moves_nothing_back(
    store: GenerationStore, settings: Settings, first: str, second: str, third: str, monkeypatch: pytest.MonkeyPatch
):
    """While Milvus loaded the collection another publisher moved the pointer; the old one was written over it."""
    publish(store, first, 0, settings)

    def slow(bundle: Bundle, index: VideoIndex) -> float:
        monkeypatch.undo()
        store.clock = FixedClock(store.clock.now_ms() + HOUR_MS)
        publish(store, third, 0, settings)
        return verify_index(bundle, index)

    monkeypatch.setattr(publish_module, "verify_index", slow)
    with pytest.raises(GenerationError, match="was taken over by nobody"):
        publish(store, second, 0, settings)
    pointer = store.pointer()
    assert (pointer.live, pointer.previous, pointer.staged) == (Target(third), Target(first), None)


def test_rolling_back_swaps_and_the_first_has_nothing_to_go_back_to(
    store: GenerationStore, settings: Settings, first: str, second: str
):
    with pytest.raises(NoGenerationError):
        rollback(store)
    publish(store, first, 0, settings)
    with pytest.raises(GenerationError, match="nothing to roll back to"):
        rollback(store)
    publish(store, second, 0, settings)
    assert rollback(store).live == Target(first)
    assert rollback(store).live == Target(second)


def test_there_is_no_rolling_back_to_what_a_live_replica_refuses(
    store: GenerationStore, settings: Settings, first: str, second: str
):
    """After an upgrade of the feature code no replica loads what was live before: once restarted it served nothing."""
    publish(store, first, 0, settings)
    publish(store, second, 0, settings)
    with refusing(store, first, "made with feature spec 1") as following:
        eventually(lambda: following.refused() != {})
        with pytest.raises(GenerationError, match=r"r1 refuses .*: GenerationError: made with feature spec 1"):
            rollback(store)
    assert (store.pointer().live, store.pointer().previous) == (Target(second), Target(first))
    assert rollback(store).live == Target(first)  # nobody lives to refuse it
