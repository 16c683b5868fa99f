"""The recovery drill: fill an online store from the offline log, by Feast's own `materialize`.

`python -m watchnext.store.materialize`, while no worker runs (`docs/stream.md`).

Its rows equal those that the stream wrote, since the log holds every folded row whole. Feast takes all rows of a time
range into memory to find the newest of each key, so the log goes through in ranges of bounded size, old to new.
"""

import contextlib
import sys
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Final

import duckdb
import pyarrow.compute as pc
import pyarrow.dataset as ds
import structlog

from watchnext.contracts.names import View
from watchnext.errors import StoreError, WatchnextError
from watchnext.parts import reading
from watchnext.settings import Settings, load_settings, without_passwords
from watchnext.store import values
from watchnext.store.apply import open_store, registered
from watchnext.store.offline import OfflineLog
from watchnext.store.online import STORE_ERRORS
from watchnext.store.schema import EVENT_TIMESTAMP

_log = structlog.get_logger(__name__)
_ROWS_A_RANGE: Final = 20_000


def materialize(
    settings: Settings, views: Sequence[View] = tuple(View), *, rows_a_range: int = _ROWS_A_RANGE
) -> dict[View, int]:
    """Write the newest row of every key of the offline log into the online store.

    Rows that are there already and as new stay as they are.

    Returns:
        How many rows of the log were gone through, by view.

    Raises:
        StoreError: nothing is registered, the registry cannot be had, a part of the log is damaged, or the online store
            failed.
        ConfigError: `features.offline` is no folder.
    """
    store = open_store(settings, offline={"type": "watchnext.store.old_parts.OldPartsOfflineStore"})
    counts: dict[View, int] = {}
    for view in views:
        counts[view] = 0
        log = OfflineLog(settings.offline_path, view)
        try:
            for start, end, rows in _ranges(log, rows_a_range):
                # Feast prints; stdout is the caller's
                with registered(settings, view.value), contextlib.redirect_stdout(sys.stderr):
                    store.materialize(start, end, feature_views=[view.value])
                counts[view] += rows
        except duckdb.Error as error:
            raise StoreError(
                f"{log.folder} cannot be read ({error}): a damaged part is put back from a backup"
            ) from error
        except STORE_ERRORS as error:
            raise StoreError(
                f"the feature store at {without_passwords(settings.features.online)} failed while {view.value} was "
                f"materialized: {error}"
            ) from error
        _log.info("materialized", view=view.value, rows=counts[view])
    return counts


def main() -> int:
    """The drill with the settings of this process; the exit status."""
    try:
        counts = materialize(load_settings())
    except WatchnextError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    for view, rows in counts.items():
        print(f"{view.value}: {rows:,} rows of the log gone through")
    return 0


def _ranges(log: OfflineLog, rows_a_range: int) -> Iterator[tuple[datetime, datetime, int]]:
    """Inclusive, disjoint time ranges over a log, old to new, and the rows in each."""
    paths = [str(part.path) for part in log.parts()]
    if not paths:
        return
    with reading(log.folder):
        micros = ds.dataset(paths).to_table(columns=[EVENT_TIMESTAMP])[EVENT_TIMESTAMP].cast("int64")
    times = micros.take(pc.sort_indices(micros)).to_numpy()
    start = 0
    while start < len(times):
        last = times[min(start + rows_a_range, len(times)) - 1]
        stop = int(times.searchsorted(last, side="right"))  # rows of one instant stay together
        yield values.to_datetime(int(times[start])), values.to_datetime(int(last)), stop - start
        start = stop


if __name__ == "__main__":
    sys.exit(main())
