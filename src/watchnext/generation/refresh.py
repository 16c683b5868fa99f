"""Refresh the index between two trainings: overlay r + 1 of the live generation, with new videos and fresh counters.

New videos get rows after the last one and a vector from the content part of the video tower, their id part being zero.
Changed videos get their new attributes and vector. No weight changes and no row is renumbered.

>>> refresh_index(store, settings, catalog_rows, deltas.at, as_of_ms).live              # doctest: +SKIP
Target(generation='0123456789abcdef', overlay=1)
"""

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

import msgspec
import numpy as np
import structlog
from numpy.typing import NDArray

from watchnext.contracts.rows import FeatureRow, VideoCatalog
from watchnext.errors import GenerationError
from watchnext.features.videos import VideoTable
from watchnext.features.vocabulary import Vocabularies, Vocabulary
from watchnext.generation.bundle import PROBES, Bundle, VideoSide, video_files
from watchnext.generation.interval import refresh_interval_floor
from watchnext.generation.lock import publishing
from watchnext.generation.manifest import FileEntry, Pointer
from watchnext.generation.popular import ALL_COUNTRIES, popular_rows
from watchnext.generation.publish import publish, quiet
from watchnext.generation.store import GenerationStore
from watchnext.generation.vectors import video_vectors
from watchnext.generation.verify import answered, verify_probes
from watchnext.settings import Settings

WRITE_LOCK_S: Final = 600.0
_NOTHING: Final = Vocabulary(())  # an overlay's own embeddings: it has none

Counters = Callable[[Sequence[str], int], NDArray[np.float32]]
log = structlog.get_logger()


def refresh_index(
    store: GenerationStore,
    settings: Settings,
    catalog: Iterable[VideoCatalog],
    counters: Counters,
    as_of_ms: int,
    *,
    say: Callable[[str], None] = quiet,
) -> Pointer:
    """Make and publish the next overlay; where nothing has changed the pointer stays.

    Args:
        store: its live generation is refreshed.
        settings: the refresh interval, Milvus, and what publishing needs.
        catalog: every video, of the event archive.
        counters: the decayed `COUNTERS` of videos by id at a time, `[videos, len(COUNTERS)]`.
        as_of_ms: now; counters decay to it floored to the refresh interval.
        say: told of each step.

    Returns:
        The pointer after the publish.

    Raises:
        NoGenerationError: nothing is live.
        GenerationError: the live generation no longer answers as it did, the catalogue lacks a live video, another
            generation went live meanwhile, or the overlay does not verify or publish.
        VectorIndexError: Milvus is down.
    """
    live = store.live()
    base = store.load(live.generation, live.overlay)
    verify_probes(base)  # or the overlay's probes would take what changed code answers for right
    say(f"refreshing {live}: {base.manifest.videos} videos")
    side = _refreshed(base, _columns(catalog), counters, refresh_interval_floor(as_of_ms, settings))
    contents = video_files(side)
    # Without the probes: their answers follow from the rest, and the last digits differ from machine to machine.
    if all(base.manifest.files.get(name) == FileEntry.of(data) for name, data in contents.items() if name != PROBES):
        log.info("generation.unchanged", target=str(live))
        return store.pointer()
    with publishing(store.files, store.clock, hold_s=WRITE_LOCK_S):
        manifest = store.write_overlay(
            base.manifest,
            max((0, *store.overlays(live.generation))) + 1,
            contents,
            videos=len(side.vectors) - 1,
            counters_at=side.videos.counters_at_ms,
        )
    added = manifest.videos - base.manifest.videos
    log.info("generation.overlay_built", target=str(manifest.target), added=added)
    say(f"built {manifest.target}: {added} new videos")
    return publish(store, manifest.generation, manifest.overlay, settings, replacing=live, say=say)


def _refreshed(base: Bundle, catalog: Mapping[str, Mapping[str, Any]], counters: Counters, at_ms: int) -> VideoSide:
    """The video side as of `at_ms`."""
    vocabularies = dataclasses.replace(base.vocabularies, videos=base.vocabularies.videos.extended(sorted(catalog)))
    videos = _table(base.videos, catalog, counters(vocabularies.videos.tokens, at_ms), vocabularies, at_ms)
    stale = np.flatnonzero(_content_differs(base.videos, videos))
    vectors = np.zeros((len(videos), base.vectors.shape[1]), np.float32)
    vectors[: len(base.vectors)] = base.vectors
    if len(stale):
        vectors[stale] = video_vectors(base.tower, videos, stale)
    return VideoSide(
        vocabularies=vocabularies,
        videos=videos,
        vectors=vectors,
        probes=answered(
            base.probes,
            tower=base.tower,
            ranker=base.ranker,
            quantiles=base.quantiles,
            vocabularies=vocabularies,
            videos=videos,
            vectors=vectors,
        ),
        popular={**base.popular, ALL_COUNTRIES: popular_rows(videos, {})[ALL_COUNTRIES]},
    )


def _table(
    base: VideoTable,
    catalog: Mapping[str, Mapping[str, Any]],
    counted: NDArray[np.float32],
    vocabularies: Vocabularies,
    at_ms: int,
) -> VideoTable:
    """The table of all videos; only videos that were trained on keep an embedding, and the averages are theirs."""
    try:
        table = VideoTable.build(catalog, counted, vocabularies, _NOTHING, _NOTHING, at_ms=at_ms)
    except ValueError as error:
        raise GenerationError(
            f"this catalogue cannot refresh the live generation: {error} (has the stream caught up with the "
            "catalogue topic? `watchnext status`)"
        ) from error
    cold = len(table) - len(base)
    return dataclasses.replace(
        table,
        embedding=np.pad(base.embedding, (0, cold)),
        ranking_embedding=np.pad(base.ranking_embedding, (0, cold)),
        averages=base.averages,
    )


def _content_differs(before: VideoTable, after: VideoTable) -> NDArray[np.bool_]:
    """Which rows of `after` are new, or differ in what the video tower reads."""
    differs = np.ones(len(after), bool)
    known = slice(0, len(before))
    differs[known] = (
        (before.channel != after.channel[known])
        | (before.topics != after.topics[known]).any(axis=1)
        | (before.language != after.language[known])
        | (before.seconds != after.seconds[known])
        | (before.uploaded_at != after.uploaded_at[known])
    )
    return differs


def _columns(rows: Iterable[FeatureRow]) -> dict[str, dict[str, Any]]:
    return {row.entity_id: msgspec.structs.asdict(row) for row in rows}
