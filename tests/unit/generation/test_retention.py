"""What a publish would remove, of a store in memory."""

from collections.abc import Callable
from functools import partialmethod
from pathlib import Path

import msgspec
import pytest

from tests.unit.generation.world import HOUR_MS, NOW_MS, VIDEOS, parts
from watchnext.clock import FixedClock
from watchnext.contracts.names import collection_name
from watchnext.errors import GenerationError, GenerationStoreError
from watchnext.generation.build import build_generation
from watchnext.generation.bundle import video_files
from watchnext.generation.files import Files
from watchnext.generation.lock import publishing
from watchnext.generation.manifest import Pointer, Target
from watchnext.generation.retention import remove_superseded, superseded
from watchnext.generation.store import GenerationStore


@pytest.fixture
def store(tmp_path: Path) -> GenerationStore:
    return GenerationStore(f"memory://{tmp_path}")


@pytest.fixture
def built(store: GenerationStore) -> list[str]:
    """Three generations, from the oldest on."""
    generations = []
    for number in range(3):
        store.clock = FixedClock(NOW_MS + number * HOUR_MS)
        generations.append(build_generation(store, parts(snapshot=f"snapshot-{number}")).generation)
    return generations


def overlay(store: GenerationStore, generation: str, number: int) -> None:
    base = store.load(generation)
    store.write_overlay(base.manifest, number, video_files(base), videos=VIDEOS, counters_at=NOW_MS)


def pointer(live: Target, previous: Target | None = None) -> Pointer:
    return Pointer(generation=live.generation, overlay=live.overlay, previous=previous)


def test_old_generations_go_and_the_newest_and_those_of_the_pointer_stay(store: GenerationStore, built: list[str]):
    oldest, middle, newest = built
    assert set(superseded(store, pointer(Target(newest)), kept=1)) == {Target(oldest), Target(middle)}
    assert set(superseded(store, pointer(Target(newest)), kept=2)) == {Target(oldest)}
    assert set(superseded(store, pointer(Target(oldest), Target(middle)), kept=1)) == set()
    staged = msgspec.structs.replace(pointer(Target(newest)), staged=Target(oldest))
    assert set(superseded(store, staged, kept=1)) == {Target(middle)}


def test_overlays_go_but_those_of_the_pointer_and_the_newest_whose_number_the_next_follows(
    store: GenerationStore, built: list[str]
):
    oldest, _, newest = built
    for number in (1, 2, 3, 4):
        overlay(store, newest, number)
    overlay(store, oldest, 1)
    live = pointer(Target(newest, 3), Target(newest, 2))  # overlay 4 was never published
    assert set(superseded(store, live, kept=2)) == {Target(newest, 1), Target(oldest)}
    assert set(superseded(store, live, kept=3)) == {Target(newest, 1)}


def test_what_is_removed_is_gone_with_its_overlays(store: GenerationStore, built: list[str]):
    oldest, middle, _ = built
    overlay(store, oldest, 1)
    overlay(store, middle, 1)
    overlay(store, middle, 2)
    store.remove(Target(oldest))
    store.remove(Target(middle, 1))
    store.remove(Target(middle, 1))  # again: nothing is there
    assert oldest not in store.files.folders("")
    assert store.overlays(middle) == (2,)
    assert store.load(middle, 2).overlay == 2
    with pytest.raises(GenerationError, match="no generation"):
        store.load(oldest)


class Collections:
    """Stands for Milvus: the names that are there."""

    def __init__(self, names: set[str]) -> None:
        self.names = names

    def drop(self, collection: str) -> None:
        self.names.discard(collection)


@pytest.mark.parametrize("at", [0, 1, 3, 5, 8, 12])
def test_a_removal_that_breaks_off_is_ended_by_the_next_publish(
    store: GenerationStore, built: list[str], monkeypatch: pytest.MonkeyPatch, at: int
):
    """Its manifest went first, so that nobody ever looked for the rest again: files and collection stayed for good."""
    oldest, middle, newest = built
    overlay(store, oldest, 1)
    overlay(store, middle, 1)
    overlay(store, middle, 2)
    gone = {collection_name(oldest, 0), collection_name(oldest, 1), collection_name(middle, 1)}
    stay = {collection_name(middle, 2), collection_name(newest, 0)}
    index = Collections(gone | stay)
    calls = 0

    def refused_once(self: Files, path: str, then: Callable[[Files, str], None]) -> None:
        nonlocal calls
        calls += 1
        if calls == at + 1:
            raise GenerationStoreError("slow down")
        then(self, path)

    live = pointer(Target(newest), Target(middle, 2))
    with publishing(store.files, store.clock, hold_s=60) as lock, monkeypatch.context() as patched:
        for name in ("delete", "delete_folder"):
            patched.setattr(Files, name, partialmethod(refused_once, then=getattr(Files, name)))
        for _ in range(2):
            remove_superseded(store, index, live, kept=1, lock=lock)  # type: ignore[arg-type]
    assert calls > at
    assert oldest not in store.files.folders("")
    assert store.files.folders(f"{middle}/overlays") == ["2"]
    assert index.names == stay
    assert store.load(middle, 2).overlay == 2
