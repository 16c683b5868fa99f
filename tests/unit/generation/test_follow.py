"""The follower against a store in memory: real threads, real pointer, a load that returns a word."""

import threading
from collections.abc import MutableMapping
from pathlib import Path
from typing import Any

import msgspec
import pytest
from prometheus_client import REGISTRY
from structlog.testing import capture_logs

from tests.unit.waiting import eventually
from watchnext.clock import FixedClock
from watchnext.errors import GenerationError, NoGenerationError
from watchnext.generation import follow
from watchnext.generation.follow import Follower
from watchnext.generation.manifest import Pointer, Replica, Target
from watchnext.generation.replicas import TTL_MS
from watchnext.generation.store import GenerationStore
from watchnext.ops import metrics

A, B, C = Target("a"), Target("b", 1), Target("c")


class Loader:
    """Loads words, and remembers what it was asked."""

    def __init__(self) -> None:
        self.loads: list[str] = []
        self.unloads: list[str] = []
        self.broken: set[Target] = set()
        self.gate = threading.Event()
        self.gate.set()

    def load(self, generation: str, overlay: int) -> str:
        target = Target(generation, overlay)
        self.loads.append(str(target))
        assert self.gate.wait(10)
        if target in self.broken:
            raise GenerationError("tower.safetensors is torn")
        return str(target)


@pytest.fixture
def store(tmp_path: Path) -> GenerationStore:
    return GenerationStore(f"memory://{tmp_path}")


@pytest.fixture
def loader() -> Loader:
    return Loader()


def follower(store: GenerationStore, loader: Loader) -> Follower[str]:
    return Follower(store, "r1", loader.load, unload=loader.unloads.append, poll_s=0.01)


def look_again(store: GenerationStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait until a follower has looked at the pointer and done what it does then: the next look has begun."""
    looks, pointer = [], store.pointer

    def counted() -> Pointer:
        looks.append(1)
        return pointer()

    with monkeypatch.context() as patched:
        patched.setattr(store, "pointer", counted)
        eventually(lambda: len(looks) >= 2)


def test_the_live_generation_is_loaded_and_switched(store: GenerationStore, loader: Loader):
    store.write_pointer(Pointer(generation="a"))
    with follower(store, loader) as following:
        assert following.wait(10) == "a.0"
        store.write_pointer(Pointer(generation="b", overlay=1, previous=A))
        eventually(lambda: following.current() == "b.1")
        assert following.get("a", 0) == "a.0"  # for a rollback
        store.write_pointer(Pointer(generation="a", previous=B))
        eventually(lambda: following.current() == "a.0")
    assert loader.loads == ["a.0", "b.1"]
    assert loader.unloads == []


def test_a_staged_generation_is_loaded_and_acknowledged_but_not_served(store: GenerationStore, loader: Loader):
    store.write_pointer(Pointer(generation="a", staged=B, attempt="t1"))
    with follower(store, loader) as following:
        eventually(lambda: any(replica.acknowledges(B, "t1") for replica in store.replicas.alive()))
        assert following.current() == "a.0"


def test_the_third_oldest_is_unloaded(store: GenerationStore, loader: Loader):
    store.write_pointer(Pointer(generation="a"))
    with follower(store, loader) as following:
        following.wait(10)
        store.write_pointer(Pointer(generation="b", overlay=1, previous=A))
        eventually(lambda: following.current() == "b.1")
        store.write_pointer(Pointer(generation="c", previous=B))
        eventually(lambda: loader.unloads == ["a.0"])
        assert following.current() == "c.0"
        assert following.get("a", 0) is None


def test_a_torn_staged_generation_is_refused_with_the_reason(
    store: GenerationStore, loader: Loader, monkeypatch: pytest.MonkeyPatch
):
    loader.broken.add(B)
    store.write_pointer(Pointer(generation="a", staged=B, attempt="t1"))
    with follower(store, loader) as following:
        eventually(lambda: any(replica.refusal(B, "t1") for replica in store.replicas.alive()))
        assert "tower.safetensors is torn" in store.replicas.alive()[0].refusal(B, "t1")
        assert following.current() == "a.0"
        look_again(store, monkeypatch)
        assert loader.loads.count("b.1") == 1  # one answer an attempt

        loader.broken.clear()
        store.write_pointer(Pointer(generation="a", staged=B, attempt="t2"))
        eventually(lambda: any(replica.acknowledges(B, "t2") for replica in store.replicas.alive()))
        assert following.refused() == {}


def test_a_live_generation_that_does_not_load_is_tried_again(
    store: GenerationStore, loader: Loader, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(follow, "RETRY_S", 0.05)
    loader.broken.add(B)
    store.write_pointer(Pointer(generation="a"))
    with follower(store, loader) as following:
        following.wait(10)
        store.write_pointer(Pointer(generation="b", overlay=1, previous=A))
        eventually(lambda: loader.loads.count("b.1") >= 2)
        assert following.current() == "a.0"  # what is loaded goes on being served
        loader.broken.clear()
        eventually(lambda: following.current() == "b.1")


def test_a_live_generation_that_is_published_again_once_mended_is_not_refused_for_what_it_was(
    store: GenerationStore, loader: Loader
):
    """The reason of an earlier look went out as the answer to the new attempt, and the publish failed with it."""
    loader.broken.add(A)
    store.write_pointer(Pointer(generation="a"))
    with follower(store, loader) as following:
        eventually(lambda: following.refused() != {})
        loader.broken.clear()
        store.write_pointer(Pointer(generation="a", staged=A, attempt="t1"))
        eventually(lambda: store.replicas.alive()[0].attempt == "t1")
        assert store.replicas.alive()[0].acknowledges(A, "t1")


@pytest.mark.parametrize("pointer", [Pointer(generation="a"), Pointer(generation="c", previous=A)])
def test_what_is_staged_and_live_or_previous_is_tried_once_an_attempt(
    store: GenerationStore, loader: Loader, monkeypatch: pytest.MonkeyPatch, pointer: Pointer
):
    loader.broken.add(A)
    store.write_pointer(msgspec.structs.replace(pointer, staged=A, attempt="t1"))
    with follower(store, loader):
        eventually(lambda: any(replica.refusal(A, "t1") for replica in store.replicas.alive()))
        look_again(store, monkeypatch)
    assert loader.loads.count("a.0") == 1


def test_a_previous_generation_that_does_not_load_is_told_once_and_alerts_nobody(
    store: GenerationStore, loader: Loader, monkeypatch: pytest.MonkeyPatch
):
    """After an upgrade of the feature code it never does: each replica wrote a traceback every 5 s, under an alert."""
    monkeypatch.setattr(follow, "RETRY_S", 0.01)
    refused = REGISTRY.get_sample_value("watchnext_generation_refusals_total")
    loader.broken.add(A)
    store.write_pointer(Pointer(generation="b", overlay=1, previous=A))
    with capture_logs() as logs, follower(store, loader) as following:
        eventually(lambda: loader.loads.count("a.0") >= 3)
        assert [entry["target"] for entry in logs if entry["event"] == "generation.refused"] == ["a.0"]
        assert REGISTRY.get_sample_value("watchnext_generation_refusals_total") == refused
        loader.broken.clear()
        eventually(lambda: following.get("a", 0) == "a.0")


def test_a_torn_pointer_does_not_stop_what_is_served(
    store: GenerationStore, loader: Loader, monkeypatch: pytest.MonkeyPatch
):
    store.write_pointer(Pointer(generation="a"))
    with follower(store, loader) as following:
        following.wait(10)
        store.files.write("live.json", b"{")
        look_again(store, monkeypatch)
        assert following.current() == "a.0"
        store.write_pointer(Pointer(generation="c", previous=A))
        eventually(lambda: following.current() == "c.0")


def test_a_store_that_is_away_is_logged_once_and_once_when_it_is_back(
    store: GenerationStore, loader: Loader, monkeypatch: pytest.MonkeyPatch
):
    store.write_pointer(Pointer(generation="a"))
    looks = 0

    def away() -> Pointer:
        nonlocal looks
        looks += 1
        raise OSError(30, "Read-only file system", f"live.json.{looks}.tmp")

    def told(logs: list[MutableMapping[str, Any]]) -> list[tuple[str, str]]:
        return [(entry["event"], entry["task"]) for entry in logs if entry["event"].startswith("generation.follower_")]

    with capture_logs() as logs, follower(store, loader) as following:
        following.wait(10)
        with monkeypatch.context() as patched:
            patched.setattr(store, "pointer", away)
            eventually(lambda: looks >= 5)
            assert told(logs) == [("generation.follower_failed", "follow")]
        eventually(lambda: len(told(logs)) == 2)
        assert told(logs)[1] == ("generation.follower_resumed", "follow")


def test_the_heart_beats_while_a_load_takes_its_time(
    store: GenerationStore, loader: Loader, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(follow, "HEARTBEAT_S", 0.01)
    loader.gate.clear()
    store.write_pointer(Pointer(generation="a"))
    with follower(store, loader) as following:
        eventually(lambda: loader.loads == ["a.0"])
        first = store.replicas.alive()[0].at
        eventually(lambda: store.replicas.alive()[0].at > first)
        assert following.current() is None
        loader.gate.set()
        following.wait(10)


def test_a_stopped_follower_is_no_replica(store: GenerationStore, loader: Loader):
    with follower(store, loader):
        eventually(lambda: [replica.name for replica in store.replicas.alive()] == ["r1"])
    assert store.replicas.alive() == ()


def test_a_replica_is_dead_when_its_heartbeat_is_old(tmp_path: Path):
    store = GenerationStore(f"memory://{tmp_path}", clock=FixedClock(100_000))
    store.replicas.write(Replica(name="fresh", at=100_000 - TTL_MS))
    store.replicas.write(Replica(name="killed", at=100_000 - TTL_MS - 1))
    assert [replica.name for replica in store.replicas.alive()] == ["fresh"]


def test_the_file_of_a_replica_that_was_killed_a_day_ago_is_removed(tmp_path: Path):
    day_ms = 86_400_000
    store = GenerationStore(f"memory://{tmp_path}", clock=FixedClock(day_ms + 100))
    store.replicas.write(Replica(name="yesterday", at=99))
    store.replicas.write(Replica(name="today", at=100))
    store.replicas.forget_dead()
    assert store.files.names("replicas") == ["today.json"]


def test_waiting_without_a_generation_says_what_to_do(store: GenerationStore, loader: Loader):
    with follower(store, loader) as following, pytest.raises(NoGenerationError, match="watchnext pipeline run"):
        following.wait(0.05)


def test_waiting_for_a_generation_that_does_not_load_says_why(store: GenerationStore, loader: Loader):
    loader.broken.add(A)
    store.write_pointer(Pointer(generation="a"))
    with follower(store, loader) as following:
        eventually(lambda: following.refused() != {})
        with pytest.raises(NoGenerationError, match=r"a\.0: GenerationError: tower\.safetensors is torn"):
            following.wait(0.05)


def test_a_generation_that_loads_is_waited_for_past_the_timeout(store: GenerationStore, loader: Loader):
    """A retrieval pod of a big generation was ready, and got requests, before it had anything to serve."""
    loader.gate.clear()
    store.write_pointer(Pointer(generation="a"))
    with follower(store, loader) as following:
        eventually(lambda: loader.loads == ["a.0"])
        threading.Timer(0.2, loader.gate.set).start()
        assert following.wait(0.01) == "a.0"


def test_what_is_missing_is_told_until_the_live_generation_is_served(store: GenerationStore, loader: Loader):
    loader.broken.add(C)
    assert follower(store, loader).missing() == "the pointer was not read yet: is the generation store there?"
    with follower(store, loader) as following:
        eventually(lambda: following.missing() == "nothing is published: train with `watchnext pipeline run`")
        loader.gate.clear()
        store.write_pointer(Pointer(generation="a"))
        eventually(lambda: following.missing() == "a.0: still loading")
        loader.gate.set()
        eventually(lambda: following.missing() == "")
        store.write_pointer(Pointer(generation="c", previous=A))
        eventually(lambda: following.missing() == "c.0: GenerationError: tower.safetensors is torn")
        assert following.current() == "a.0"
        store.write_pointer(Pointer(generation="a", previous=C))
        eventually(lambda: following.missing() == "")


def test_what_is_served_is_one_series_and_refusals_are_counted(store: GenerationStore, loader: Loader):
    def served() -> list[dict[str, str]]:
        [family] = metrics.GENERATION_INFO.collect()
        return [sample.labels for sample in family.samples]

    loader.broken.add(C)
    refused = REGISTRY.get_sample_value("watchnext_generation_refusals_total")
    loaded = REGISTRY.get_sample_value("watchnext_generation_load_seconds_count")
    store.write_pointer(Pointer(generation="a"))
    with follower(store, loader) as following:
        following.wait(10)
        assert served() == [{"generation": "a", "overlay": "0"}]
        store.write_pointer(Pointer(generation="b", overlay=1, previous=A, staged=C, attempt="t"))
        eventually(lambda: served() == [{"generation": "b", "overlay": "1"}])
        eventually(lambda: str(C) in following.refused())
    assert REGISTRY.get_sample_value("watchnext_generation_refusals_total") == refused + 1
    assert REGISTRY.get_sample_value("watchnext_generation_load_seconds_count") == loaded + 2


def test_the_last_look_at_the_pointer_ages_while_the_store_is_away(
    store: GenerationStore, loader: Loader, monkeypatch: pytest.MonkeyPatch
):
    def read() -> float | None:
        return REGISTRY.get_sample_value("watchnext_generation_pointer_read_timestamp_seconds")

    looks: list[int] = []

    def away() -> Pointer:
        looks.append(1)
        raise OSError("the store is away")

    store.clock = FixedClock(1_000_000)
    with follower(store, loader):
        eventually(lambda: read() == 1_000)
        with monkeypatch.context() as patched:
            patched.setattr(store, "pointer", away)
            eventually(lambda: len(looks) >= 2)
            store.clock = FixedClock(2_000_000)
            eventually(lambda: len(looks) >= 4)
            assert read() == 1_000
        eventually(lambda: read() == 2_000)


def test_a_store_that_was_never_there_ages_from_the_start(
    store: GenerationStore, loader: Loader, monkeypatch: pytest.MonkeyPatch
):
    """The alert passes over 0, which is what processes that follow nothing show."""
    looks: list[int] = []

    def away() -> Pointer:
        looks.append(1)
        raise OSError("the store is away")

    metrics.POINTER_READ.set(0)
    monkeypatch.setattr(store, "pointer", away)
    store.clock = FixedClock(3_000_000)
    with follower(store, loader):
        eventually(lambda: len(looks) >= 2)
        assert REGISTRY.get_sample_value("watchnext_generation_pointer_read_timestamp_seconds") == 3_000
