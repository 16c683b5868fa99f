import errno
import os
import stat
from pathlib import Path

import pyarrow as pa
import pytest

from watchnext.contracts.events import SearchEvent
from watchnext.contracts.names import Topic, View
from watchnext.contracts.rows import UserSearches
from watchnext.errors import StoreError
from watchnext.parts import create_part
from watchnext.store.offline import OfflineLog
from watchnext.stream.archive import Batch, EventArchive, read_archive

ONE, TWO = pa.table({"number": [1]}), pa.table({"number": [2]})


def test_the_name_of_a_part_is_durable_before_it_is_relied_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced = []
    monkeypatch.setattr(os, "fsync", lambda descriptor: synced.append(stat.S_ISDIR(os.fstat(descriptor).st_mode)))

    create_part(tmp_path / "topic" / "a.parquet", ONE, wanted="begin")

    assert synced == [False, True], "the file, then its folder"


def test_a_part_is_never_written_over_and_nothing_stays_aside(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    create_part(path, ONE, wanted="begin")
    before = path.read_bytes()

    with pytest.raises(StoreError, match=r"a\.parquet is there already; wanted to begin at 7: another worker"):
        create_part(path, TWO, wanted="begin at 7")

    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["a.parquet"]


def test_a_full_disk_is_a_store_error_that_a_worker_waits_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StoreError, match=r"a\.parquet cannot be written \(.*No space left.*wanted to begin at 7"):
        create_part(tmp_path / "a.parquet", ONE, wanted="begin at 7")
    monkeypatch.undo()

    assert list(tmp_path.iterdir()) == []
    create_part(tmp_path / "a.parquet", ONE, wanted="begin at 7")


def test_a_folder_that_cannot_be_made_is_a_store_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(StoreError, match="cannot be written"):
        create_part(tmp_path / "file" / "a.parquet", ONE, wanted="begin")


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-4])


def test_a_damaged_part_of_the_archive_is_an_error_that_names_it(tmp_path: Path) -> None:
    """A worker ended in Arrow's traceback, in which no file was named."""
    archive = EventArchive(str(tmp_path))
    search = SearchEvent(event_id="e", user_id="u", query="q", searched_at=1)
    archive.write(Batch(Topic.SEARCH, 0, 0, 1, [(0, search)]))
    cut(tmp_path / "search-events" / "search-events-0-00000000000000000000.parquet")

    with pytest.raises(
        StoreError, match=r"search-events-0-0{20}\.parquet cannot be read \(.*\): is its volume mounted"
    ):
        archive.read(Topic.SEARCH, 0, 0)
    with pytest.raises(StoreError, match=r"search-events-0-0{20}\.parquet"):
        read_archive(str(tmp_path), Topic.SEARCH)


def test_a_damaged_part_of_the_offline_log_is_an_error_that_names_it(tmp_path: Path) -> None:
    log = OfflineLog(tmp_path, View.USER_SEARCHES)
    cut(log.write_part(Topic.SEARCH, 0, 0, 0, [UserSearches(entity_id="u", partition=0, offset=0)]))

    with pytest.raises(StoreError, match=r"search-events-0-0{20}\.parquet cannot be read"):
        log.read_part(Topic.SEARCH, 0, 0, 0)
    with pytest.raises(StoreError, match=r"search-events-0-0{20}\.parquet cannot be read"):
        log.last_row(Topic.SEARCH, 0, 1)
