"""What a publish removes, and what one that fails leaves, with a real Milvus Lite server."""

from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from structlog.testing import capture_logs

from tests.local.generations.changes import beside_a_hung_replica, generations
from tests.unit.generation.world import CATALOG, COUNTERS, HOUR_MS, NOW_MS, VIDEOS, parts
from watchnext.clock import FixedClock
from watchnext.errors import GenerationError, VectorIndexError
from watchnext.generation import collection
from watchnext.generation import publish as publish_module
from watchnext.generation.build import build_generation
from watchnext.generation.bundle import Bundle
from watchnext.generation.collection import load_index
from watchnext.generation.lock import Lock, publishing
from watchnext.generation.manifest import Target
from watchnext.generation.publish import publish, rollback
from watchnext.generation.refresh import refresh_index
from watchnext.generation.store import GenerationStore
from watchnext.index.milvus import VideoIndex
from watchnext.settings import Settings


def test_the_collection_that_nobody_can_need_is_dropped_and_comes_back(
    store: GenerationStore, settings: Settings, index: VideoIndex, first: str, second: str, third: str
):
    for generation in (first, second, third):
        publish(store, generation, 0, settings)
    assert index.count(store.manifest(first).collection) == 0
    assert index.count(store.manifest(second).collection) == VIDEOS
    publish(store, first, 0, settings)
    assert index.count(store.manifest(first).collection) == VIDEOS


def test_a_collection_that_is_not_dropped_does_not_fail_the_publish(
    store: GenerationStore,
    settings: Settings,
    first: str,
    second: str,
    third: str,
    monkeypatch: pytest.MonkeyPatch,
):
    publish(store, first, 0, settings)
    publish(store, second, 0, settings)

    def drop(index: VideoIndex, collection: str) -> None:
        raise VectorIndexError(f"Milvus at {index.uri} could not drop {collection}")

    monkeypatch.setattr(VideoIndex, "drop", drop)
    with capture_logs() as logs:
        assert publish(store, third, 0, settings).live == Target(third)
    assert [entry["collection"] for entry in logs if entry["log_level"] == "warning"] == [f"videos_{first}_0"]


def test_a_publish_that_fails_leaves_no_collection(
    store: GenerationStore, settings: Settings, index: VideoIndex, first: str, second: str
):
    publish(store, first, 0, settings)
    hasty = beside_a_hung_replica(store, settings)
    with pytest.raises(GenerationError, match="hung did not load"):
        publish(store, second, 0, hasty)
    assert index.count(f"videos_{second}_0") == 0
    with pytest.raises(GenerationError, match="hung did not load"):
        publish(store, first, 0, hasty)
    assert index.count(f"videos_{first}_0") == VIDEOS  # it is live


def test_a_publish_that_fails_before_it_is_staged_leaves_no_collection(
    store: GenerationStore, settings: Settings, index: VideoIndex, first: str, second: str
):
    publish(store, first, 0, settings)
    with pytest.raises(GenerationError, match="went live meanwhile"):
        publish(store, second, 0, settings, replacing=Target(second))
    assert index.count(f"videos_{second}_0") == 0


def test_a_collection_that_finds_too_little_is_made_again_by_the_next_publish(
    store: GenerationStore, settings: Settings, index: VideoIndex, first: str, monkeypatch: pytest.MonkeyPatch
):
    """It has as many rows and the vectors that are compared: it stayed for good, and no publish could mend it."""
    bundle = store.load(first)
    spoiled = bundle.vectors[1:].copy()
    spoiled[VIDEOS // 2 :] *= -1
    index.create(bundle.collection, np.arange(1, VIDEOS + 1, dtype=np.int32), spoiled)
    monkeypatch.setattr(collection, "SAMPLE", 1)
    with pytest.raises(GenerationError, match=r"finds 0\.\d+ of the true top"):
        publish(store, first, 0, settings)
    assert publish(store, first, 0, settings).live == Target(first)


def test_a_publish_removes_what_nobody_can_need(
    store: GenerationStore, settings: Settings, index: VideoIndex, first: str, tmp_path: Path
):
    few = generations(settings, kept=1)
    publish(store, first, 0, few)
    for hour in (1, 2, 3):
        refresh_index(store, few, CATALOG, COUNTERS, NOW_MS + hour * HOUR_MS)
    assert store.overlays(first) == (2, 3)  # live, and what it replaced
    second, third = (build_generation(store, parts(seed=n, snapshot=f"{tmp_path}-{n}")).generation for n in (2, 3))
    for generation in (second, third):
        publish(store, generation, 0, settings)
    publish(store, third, 0, few)
    assert {manifest.generation for manifest in store.list()} == {second, third}
    assert first not in store.files.folders("")
    assert {name for name in index.list() if first in name} == set()
    assert rollback(store).live == Target(second)


def test_a_store_whose_old_files_stay_does_not_fail_the_publish(
    store: GenerationStore, settings: Settings, first: str, second: str, third: str, monkeypatch: pytest.MonkeyPatch
):
    few = generations(settings, kept=1)
    for generation in (first, second):
        publish(store, generation, 0, settings)

    def refused(store: GenerationStore, target: Target) -> None:
        raise PermissionError(f"{target} is read-only")

    monkeypatch.setattr(GenerationStore, "remove", refused)
    with capture_logs() as logs:
        assert publish(store, third, 0, few).live == Target(third)
    (warning,) = (entry for entry in logs if entry["log_level"] == "warning")
    assert warning["event"] == "generation.not_removed"


def test_a_collection_that_another_publisher_drops_meanwhile_does_not_go_live(
    store: GenerationStore,
    settings: Settings,
    index: VideoIndex,
    first: str,
    second: str,
    third: str,
    monkeypatch: pytest.MonkeyPatch,
):
    publish(store, first, 0, settings)
    publish(store, second, 0, settings)

    def overtaken(*arguments: Any, **options: Any) -> AbstractContextManager[Lock]:
        monkeypatch.undo()
        publish(store, third, 0, settings)  # the second since the first, whose collection goes
        return publishing(*arguments, **options)

    monkeypatch.setattr(publish_module, "publishing", overtaken)
    with pytest.raises(GenerationError, match="has 0 rows"):
        publish(store, first, 0, settings)
    assert (store.pointer().live, store.pointer().staged) == (Target(third), None)
    assert index.count(f"videos_{third}_0") == VIDEOS


def test_a_generation_that_another_publisher_removes_meanwhile_does_not_go_live(
    store: GenerationStore,
    settings: Settings,
    first: str,
    second: str,
    third: str,
    monkeypatch: pytest.MonkeyPatch,
):
    """Without a replica to refuse it the pointer moved to what was not in the store any more."""
    publish(store, second, 0, settings)

    def overtaken(bundle: Bundle, index: VideoIndex) -> None:
        monkeypatch.undo()
        publish(store, third, 0, generations(settings, kept=1))  # removes the first
        load_index(bundle, index)

    monkeypatch.setattr(publish_module, "load_index", overtaken)
    with pytest.raises(GenerationError, match=f"there is no generation '{first}'"):
        publish(store, first, 0, settings)
    assert (store.pointer().live, store.pointer().staged) == (Target(third), None)


def test_a_publisher_whose_lock_ran_out_removes_nothing(
    store: GenerationStore,
    settings: Settings,
    index: VideoIndex,
    first: str,
    second: str,
    third: str,
    monkeypatch: pytest.MonkeyPatch,
):
    """It removed the files of what another publisher had made live while Milvus hung."""
    publish(store, second, 0, settings)
    publish(store, third, 0, settings)

    def hung(_: VideoIndex, collection: str) -> None:
        monkeypatch.undo()
        store.clock = FixedClock(store.clock.now_ms() + HOUR_MS)
        publish(store, second, 0, settings)
        publish(store, first, 0, settings)
        raise VectorIndexError(f"no answer came about {collection}")

    monkeypatch.setattr(VideoIndex, "drop", hung)
    fourth = build_generation(store, parts(seed=4, snapshot="4")).generation
    publish(store, fourth, 0, generations(settings, kept=1))
    assert store.live() == Target(first)
    assert store.load(first).id == first
    assert index.count(f"videos_{first}_0") == VIDEOS
