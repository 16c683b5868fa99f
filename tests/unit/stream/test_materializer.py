from collections.abc import Iterable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow.parquet as pq
import pytest

from watchnext import parts
from watchnext.contracts.events import SearchEvent
from watchnext.contracts.names import Topic, View
from watchnext.contracts.rows import FeatureRow
from watchnext.settings import load_settings
from watchnext.store.offline import OfflineLog
from watchnext.stream import materializer
from watchnext.stream.archive import LOG_OFFSET, Batch, EventArchive, read_archive
from watchnext.stream.materializer import Materializer


class Online:
    """An online store in memory."""

    def __init__(self) -> None:
        self._rows: dict[tuple[View, str], FeatureRow] = {}

    def read_rows(self, view: View, entity_ids: Iterable[str]) -> dict[str, FeatureRow]:
        return {entity_id: row for entity_id in entity_ids if (row := self.read_row(view, entity_id))}

    def read_row(self, view: View, entity_id: str) -> FeatureRow | None:
        return self._rows.get((view, entity_id))

    def write(self, rows: Iterable[FeatureRow]) -> None:
        for row in rows:
            stored = self.read_row(row.VIEW, row.entity_id)
            if stored is None or stored.event_timestamp < row.event_timestamp:
                self._rows[row.VIEW, row.entity_id] = row


class Stream:
    """Partition 0 of the searches of one user, one an offset."""

    def __init__(self, home: Path) -> None:
        self._settings = load_settings(home=home)
        self._archive = EventArchive(self._settings.archive_path)
        self._offline = {view: OfflineLog(self._settings.offline_path, view) for view in View}
        self._online: Any = Online()

    def work(self, committed: int, end: int, *, size: int) -> None:
        """A new worker goes on at the offset `committed`, and has batches of `size` messages."""
        producer: Any = SimpleNamespace(send=None, flush=lambda: None)
        worker = Materializer(
            self._settings,
            archive=self._archive,
            offline=self._offline,
            online=self._online,
            producer=producer,
            catalog={},
            confirm=lambda: None,
        )
        worker.begin(Topic.SEARCH, 0, committed)
        while (following := worker.finish(Topic.SEARCH, 0, committed)) is not None:
            committed = following
        for first in range(committed, end, size):
            offsets = range(first, min(first + size, end))
            events = [
                (at, SearchEvent(event_id=f"e{at}", user_id="u", query="q", searched_at=at + 1)) for at in offsets
            ]
            worker.write([Batch(Topic.SEARCH, 0, first, offsets.stop, events)])
            worker.tidy(Topic.SEARCH, 0, offsets.stop)

    def archived(self) -> list[int]:
        """The offsets of the archive's messages."""
        table = read_archive(self._settings.archive_path, Topic.SEARCH)
        return [int(offset) for offset in table[LOG_OFFSET].to_pylist()]

    def logged(self) -> list[int]:
        """The offsets of the offline log's rows."""
        paths = [part.path for part in self._offline[View.USER_SEARCHES].parts()]
        return [offset for path in paths for offset in pq.ParquetFile(path).read()["offset"].to_pylist()]


@pytest.mark.parametrize("start", [0, 5])
def test_an_offset_that_is_set_back_into_merged_parts_loses_no_event(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, start: int
) -> None:
    """The part that began there counted as merged, and what was new in it was lost to the archive and to the log."""
    monkeypatch.setattr(parts, "FAN", 4)
    monkeypatch.setattr(materializer, "FAN", 4)
    stream = Stream(tmp_path)
    stream.work(0, 20, size=2)
    assert any(part.level for part in parts.parts_of(Path(load_settings(home=tmp_path).archive_path) / Topic.SEARCH))

    stream.work(start, 40, size=30)

    assert stream.archived() == list(range(40))
    assert stream.logged() == list(range(40))


def test_an_offset_that_is_merged_in_the_offline_log_alone_is_done_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The archive's parts were too big; the offset is no part's first."""
    monkeypatch.setattr(parts, "FAN", 4)
    stream = Stream(tmp_path)
    stream.work(0, 20, size=2)
    folder = Path(load_settings(home=tmp_path).offline_path) / View.USER_SEARCHES
    parts.merge_parts(folder, Topic.SEARCH, 0, before=8)

    stream.work(5, 40, size=30)

    assert stream.logged() == list(range(40))
