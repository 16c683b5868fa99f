"""The refresh between two trainings: the live generation's next overlay, out of the archive and the offline log.

Counters are joined as of the last interval, exactly as for training examples.
"""

from collections.abc import Mapping
from typing import Any, TypeVar

import pandas as pd
import structlog

from watchnext.clock import Clock
from watchnext.contracts.rows import VideoCatalog, VideoCounters, VideoRow
from watchnext.generation.refresh import refresh_index, refresh_interval_floor
from watchnext.generation.store import GenerationStore
from watchnext.settings import Settings
from watchnext.training import log
from watchnext.training.states import counter_rows, records

Row = TypeVar("Row", bound=VideoRow)

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
    ids = catalog["video_id"]
    at_ms = pd.Series(refresh_interval_floor(now_ms, settings), index=ids.index)
    counted = zip(ids, counter_rows(settings, ids, at_ms), strict=True)
    pointer = refresh_index(
        GenerationStore.open(settings),
        settings,
        [_row(VideoCatalog, entry["video_id"], entry) for entry in records(catalog)],
        [_row(VideoCounters, video_id, row) for video_id, row in counted if row is not None],
        now_ms,
        say=lambda step: _log.info("refreshing", step=step),
    )
    return str(pointer.live)


def _row(kind: type[Row], video_id: str, columns: Mapping[str, Any]) -> Row:
    """A feature row of those of `columns` that it has."""
    names = kind.features()
    return kind(entity_id=video_id, **{name: value for name, value in columns.items() if name in names})
