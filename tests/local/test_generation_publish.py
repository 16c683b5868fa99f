"""Publishing, rolling back and refreshing, with real followers and a real Milvus Lite server."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from structlog.testing import capture_logs

from tests.local.milvus_server import MilvusServer
from tests.unit.generation.world import CATALOG, COUNTERS, HOUR_MS, NOW_MS, VIDEOS, catalog_row, counters_row, parts
from watchnext.errors import GenerationError, NoGenerationError, VectorIndexError
from watchnext.features.averages import UNFITTED
from watchnext.features.state import RequestContext
from watchnext.generation import publish as publish_module
from watchnext.generation.build import build_generation
from watchnext.generation.bundle import Bundle
from watchnext.generation.collection import load_index, verify_index
from watchnext.generation.follow import Follower
from watchnext.generation.lock import Lock, publishing
from watchnext.generation.manifest import Replica, Target
from watchnext.generation.publish import publish, rollback
from watchnext.generation.refresh import refresh_index
from watchnext.generation.store import GenerationStore
from watchnext.generation.verify import verify_probes
from watchnext.index.milvus import VideoIndex
from watchnext.models.scorer import Scorer
from watchnext.settings import Generations, Milvus, Settings


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MilvusServer]:
    server = MilvusServer(tmp_path_factory.mktemp("milvus"))
    server.start()
    yield server
    server.kill()


@pytest.fixture
def settings(server: MilvusServer, tmp_path: Path) -> Settings:
    return Settings(
        home=tmp_path,
        milvus=Milvus(uri=server.uri),
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


def eventually(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not true():
        assert time.monotonic() < deadline, "it did not become true within 20 s"
        time.sleep(0.02)


def generations(settings: Settings, **changes: float) -> Settings:
    """The same settings but for some of the section."""
    return settings.model_copy(update={"generations": settings.generations.model_copy(update=changes)})


def beside_a_hung_replica(store: GenerationStore, settings: Settings, *loaded: Target) -> Settings:
    """A replica that lives and answers no attempt, and settings that do not wait long for it."""
    store.replicas.write(Replica(name="hung", at=store.clock.now_ms() + 60_000, loaded=list(loaded)))
    return generations(settings, ack_timeout_s=0.3)


def serving(current: Bundle | None) -> Target | None:
    return current.target if current else None


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

    def load(generation: str, overlay: int) -> str:
        if generation == second:
            raise GenerationError("no memory for 61 vectors")
        return generation

    with Follower(store, "r1", load, poll_s=0.02) as following:
        following.wait(20)
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


def test_the_collection_that_nobody_can_need_is_dropped_and_comes_back(
    store: GenerationStore, settings: Settings, index: VideoIndex, first: str, second: str, tmp_path: Path
):
    third = build_generation(store, parts(seed=3, snapshot=f"{tmp_path}-3")).generation
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
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
):
    third = build_generation(store, parts(seed=3, snapshot=f"{tmp_path}-3")).generation
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
    store: GenerationStore, settings: Settings, first: str, second: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    few = generations(settings, kept=1)
    third = build_generation(store, parts(seed=3, snapshot=f"{tmp_path}-3")).generation
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
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
):
    third = build_generation(store, parts(seed=3, snapshot=f"{tmp_path}-3")).generation
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


def test_an_overlay_appends_changes_and_recounts_and_leaves_the_generation_alone(
    store: GenerationStore, settings: Settings, index: VideoIndex, first: str
):
    publish(store, first, 0, settings)
    base = store.load(first)
    files_before = {name: store.files.read(f"{first}/{name}") for name in store.files.names(first)}
    catalog = [
        catalog_row(3, title="Renamed"),
        catalog_row(5, channel_id="channel6", topics=["topic4"]),
        *(row for row in CATALOG if row.entity_id not in ("v003", "v005")),
        catalog_row(900, video_seconds=95.0),
        catalog_row(899, channel_id="channel-nobody-knows"),
    ]
    counters = [*COUNTERS[:-1], counters_row(VIDEOS, 0), counters_row(900, 1_000)]
    pointer = refresh_index(store, settings, catalog, counters, NOW_MS + 72 * HOUR_MS + 59 * 60_000)

    assert pointer.live == Target(first, 1)
    assert pointer.previous == Target(first)
    top = store.load(first, 1)
    verify_probes(top)
    assert top.manifest.hash != base.manifest.hash
    assert top.videos.video_ids == [*base.videos.video_ids, "v899", "v900"]  # appended, nothing renumbered
    assert top.videos.titles[3] == "Renamed"
    assert top.videos.counters_at_ms == NOW_MS + 72 * HOUR_MS  # floored to the hour
    assert top.videos.watches[40] == pytest.approx(20)  # 40 watches, one half-life later
    assert top.videos.watches[VIDEOS] == 0
    assert top.videos.averages == base.videos.averages != UNFITTED  # what the ranker was trained with
    assert top.popular[""][0] == VIDEOS + 2
    assert top.popular["fr"].tolist() == [3, 2, 1]
    assert top.videos.embedding[VIDEOS + 1 :].tolist() == [0, 0]
    assert top.videos.embedding[5] == base.videos.embedding[5] > 0

    same = [row for row in range(VIDEOS + 1) if row != 5]
    np.testing.assert_array_equal(top.vectors[same], base.vectors[same])
    assert not np.allclose(top.vectors[5], base.vectors[5])
    assert np.linalg.norm(top.vectors[VIDEOS + 2]) > 0
    assert index.count(top.collection) == VIDEOS + 2
    np.testing.assert_array_equal(index.vectors(top.collection, np.array([VIDEOS + 2], np.int32))[0], top.vectors[-1])

    assert {name: store.files.read(f"{first}/{name}") for name in store.files.names(first)} == files_before
    assert store.overlays(first) == (1,)
    assert [probe.context for probe in top.probes] == [RequestContext(now_ms=NOW_MS, surface="home")] * 20


def test_a_refresh_without_changes_publishes_nothing_and_the_next_one_builds_on_the_live_one(
    store: GenerationStore, settings: Settings, first: str
):
    publish(store, first, 0, settings)
    unchanged = refresh_index(store, settings, CATALOG, COUNTERS, NOW_MS + 59 * 60_000)
    assert unchanged.live == Target(first)
    assert store.overlays(first) == ()
    assert refresh_index(store, settings, CATALOG, COUNTERS, NOW_MS + HOUR_MS).live == Target(first, 1)
    more = [*CATALOG, catalog_row(900)]
    assert refresh_index(store, settings, more, COUNTERS, NOW_MS + HOUR_MS).live == Target(first, 2)
    rollback(store)
    again = refresh_index(store, settings, more, COUNTERS, NOW_MS + 2 * HOUR_MS)
    assert again.live == Target(first, 3)
    assert store.load(first, 3).videos.video_ids[-1] == "v900"


def test_a_refresh_that_training_overtakes_leaves_the_newer_generation_live(
    store: GenerationStore, settings: Settings, first: str, second: str
):
    publish(store, first, 0, settings)

    def train_meanwhile(step: str) -> None:
        if step.startswith("refreshing"):
            publish(store, second, 0, settings)

    with pytest.raises(
        GenerationError, match=rf"built on {first}\.0, and {second}\.0 went live .* refresh_index again"
    ):
        refresh_index(store, settings, CATALOG, COUNTERS, NOW_MS + HOUR_MS, say=train_meanwhile)
    pointer = store.pointer()
    assert (pointer.live, pointer.previous, pointer.staged) == (Target(second), Target(first), None)
    assert refresh_index(store, settings, CATALOG, COUNTERS, NOW_MS + HOUR_MS).live == Target(second, 1)


def _scale_seconds(monkeypatch: pytest.MonkeyPatch, factor: float) -> None:
    """The ranker of another release or machine."""
    score = Scorer.score

    def scaled(self: Scorer, *arguments: Any, **options: Any) -> tuple[dict[str, Any], Any]:
        scores, features = score(self, *arguments, **options)
        return scores | {"expected_seconds": scores["expected_seconds"] * np.float32(factor)}, features

    monkeypatch.setattr(Scorer, "score", scaled)


def test_changed_ranking_code_neither_publishes_nor_refreshes_a_generation(
    store: GenerationStore, settings: Settings, first: str, second: str, monkeypatch: pytest.MonkeyPatch
):
    publish(store, first, 0, settings)
    _scale_seconds(monkeypatch, 1.01)
    with pytest.raises(GenerationError, match=f"probe user 0 of {second}.0 is expected to watch video"):
        publish(store, second, 0, settings)
    with pytest.raises(GenerationError, match=f"probe user 0 of {first}.0 is expected to watch video"):
        refresh_index(store, settings, CATALOG, COUNTERS, NOW_MS + HOUR_MS)
    assert (store.live(), store.overlays(first)) == (Target(first), ())


def test_another_machines_last_digits_are_no_reason_for_an_overlay(
    store: GenerationStore, settings: Settings, first: str, monkeypatch: pytest.MonkeyPatch
):
    publish(store, first, 0, settings)
    _scale_seconds(monkeypatch, 1.00001)
    assert refresh_index(store, settings, CATALOG, COUNTERS, NOW_MS).live == Target(first)
    assert store.overlays(first) == ()


def test_a_catalogue_that_lost_a_live_video_is_refused(store: GenerationStore, settings: Settings, first: str):
    publish(store, first, 0, settings)
    with pytest.raises(GenerationError, match="1 videos of the vocabulary are not in the catalogue, first 'v001'"):
        refresh_index(store, settings, CATALOG[1:], COUNTERS, NOW_MS)
    assert store.live() == Target(first)


def test_refreshing_before_anything_is_live_says_what_to_do(store: GenerationStore, settings: Settings):
    with pytest.raises(NoGenerationError, match="watchnext pipeline run"):
        refresh_index(store, settings, CATALOG, COUNTERS, NOW_MS)
