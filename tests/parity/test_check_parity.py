"""The skew check finds what it claims to look for: user features that differ, and video counters that differ."""

import dataclasses
import shutil
from pathlib import Path

import msgspec
import pytest

from benchmarks.quality.event_log import PARTITIONS
from tests.parity.serving import serve
from tests.parity.world import Trained
from watchnext.contracts.events import ServedEvent
from watchnext.contracts.names import Topic
from watchnext.features.videos import VideoTable
from watchnext.generation.bundle import Bundle, video_files
from watchnext.generation.store import GenerationStore
from watchnext.recommend.served import served_event
from watchnext.settings import Settings
from watchnext.stream.archive import Batch, EventArchive
from watchnext.training.parity import check_parity

PARTITION = PARTITIONS  # beside those of the world's log
COUNTERS = {
    "impressions": {"video_impressions", "video_click_rate", "video_completion_rate"},
    "clicks": {"video_clicks", "video_click_rate"},
    "completions": {"video_completions", "video_completion_rate"},
    "watches": {"video_watches", "video_mean_seconds", "video_mean_fraction"},
    "watch_seconds": {"video_mean_seconds", "video_mean_fraction"},
}


def test_what_serving_logged_is_what_training_makes(world: Trained, tmp_path: Path):
    parity = check_parity(logged(world, events(world, world.bundle), tmp_path), requests=1_000)

    assert parity.requests == world.shown["request_id"].nunique()
    assert parity.vectors == len(world.shown)
    assert (parity.mismatched_requests, parity.mismatches) == (0, [])


@pytest.mark.parametrize("column", COUNTERS)
def test_counters_that_the_log_does_not_have_are_found(world: Trained, tmp_path: Path, column: str):
    """The ranker reads the generation's table, so what it read must not be compared with that same table."""
    wrong = dataclasses.replace(world.bundle.videos, **{column: getattr(world.bundle.videos, column) + 1})

    parity = check_parity(logged(world, events(world, overlay(world, wrong)), tmp_path), requests=1_000)

    assert parity.mismatched_vectors == parity.vectors == len(world.shown)
    assert {mismatch.feature for mismatch in parity.mismatches} == COUNTERS[column]


def test_a_list_that_was_made_for_another_user_is_found(world: Trained, tmp_path: Path):
    first, *others = events(world, world.bundle)
    another = next(event.user_id for event in others if event.user_id != first.user_id)
    moved = msgspec.structs.replace(first, user_id=another)

    parity = check_parity(logged(world, [moved, *others], tmp_path), requests=1_000)

    assert parity.mismatched_requests == 1
    assert {mismatch.request_id for mismatch in parity.mismatches} == {first.request_id}


def events(world: Trained, bundle: Bundle) -> list[ServedEvent]:
    """What the gateway logs of every list, answered with `bundle`; under ids of its own, beside the world's lists."""
    return [
        msgspec.structs.replace(served_event(one.request, one.answer), request_id=f"ranked-{request_id}")
        for request_id, one in serve(world, bundle).items()
    ]


def overlay(world: Trained, videos: VideoTable) -> Bundle:
    """The generation with another video table."""
    store, base = GenerationStore.open(world.settings), world.bundle
    manifest = store.write_overlay(
        base.manifest,
        max((0, *store.overlays(base.id))) + 1,
        video_files(dataclasses.replace(base, videos=videos)),
        videos=base.manifest.videos,
        counters_at=videos.counters_at_ms,
    )
    return store.load(manifest.generation, manifest.overlay)


def logged(world: Trained, served: list[ServedEvent], folder: Path) -> Settings:
    """The world's log with these lists in its archive."""
    archive = folder / "archive"
    shutil.copytree(world.settings.archive_path, archive)
    batch = Batch(Topic.SERVED, PARTITION, 0, len(served), list(enumerate(served)))
    EventArchive(str(archive)).write(batch)
    features = world.settings.features.model_copy(update={"archive": str(archive)})
    return world.settings.model_copy(update={"features": features})
