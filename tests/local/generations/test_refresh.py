"""Refreshing the live generation, with a real Milvus Lite server."""

from typing import Any

import numpy as np
import pytest

from tests.unit.generation.world import (
    CATALOG,
    COUNTER_ROWS,
    COUNTERS,
    HOUR_MS,
    NOW_MS,
    VIDEOS,
    catalog_row,
    counters_of,
    counters_row,
)
from watchnext.errors import GenerationError, NoGenerationError
from watchnext.features.averages import UNFITTED
from watchnext.features.state import RequestContext
from watchnext.generation.manifest import Target
from watchnext.generation.publish import publish, rollback
from watchnext.generation.refresh import refresh_index
from watchnext.generation.store import GenerationStore
from watchnext.generation.verify import verify_probes
from watchnext.index.milvus import VideoIndex
from watchnext.models.scorer import Scorer
from watchnext.settings import Settings


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
    counters = counters_of([*COUNTER_ROWS[:-1], counters_row(VIDEOS, 0), counters_row(900, 1_000)])
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
