"""The refresh between two trainings: the live generation's next overlay, out of the event archive.

Counters are those of the last interval, computed as for training examples.
"""

from collections.abc import Mapping
from typing import Any

import structlog

from watchnext.clock import Clock
from watchnext.contracts.rows import VideoCatalog
from watchnext.generation.interval import refresh_interval_floor
from watchnext.generation.refresh import refresh_index
from watchnext.generation.store import GenerationStore
from watchnext.settings import Settings
from watchnext.training import log
from watchnext.training.counters import Deltas
from watchnext.training.states import records

_log = structlog.get_logger(__name__)


def refresh(settings: Settings, clock: Clock) -> str:
    """Make and publish the live generation's next overlay: the catalogue of now, counters as of the last interval.

    Returns:
        The target that is live afterwards.

    Raises:
        NoGenerationError: nothing is live.
        GenerationError: the overlay does not verify or publish.
        VectorIndexError: Milvus is down.
    """
    now_ms = clock.now_ms()
    catalog = log.catalog_of(settings.archive_path)
    pointer = refresh_index(
        GenerationStore.open(settings),
        settings,
        [_catalog_row(entry) for entry in records(catalog)],
        Deltas.read(settings, refresh_interval_floor(now_ms, settings)).at,
        now_ms,
        say=lambda step: _log.info("refreshing", step=step),
    )
    return str(pointer.live)


def _catalog_row(entry: Mapping[str, Any]) -> VideoCatalog:
    """The feature row of an archived catalogue entry."""
    names = VideoCatalog.features()
    return VideoCatalog(entity_id=entry["video_id"], **{name: value for name, value in entry.items() if name in names})
