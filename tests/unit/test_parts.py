import errno
import itertools
import os
import stat
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from watchnext import parts
from watchnext.contracts.events import SearchEvent
from watchnext.contracts.names import Topic, View
from watchnext.contracts.rows import UserSearches
from watchnext.errors import StoreError
from watchnext.parts import create_part, merge_parts, parts_of, while_parts_stay
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


def test_a_full_disk_ends_a_merge_with_a_sentence_that_says_so(batches: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It was told as a part that cannot be read, to be put back from a backup."""

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(
        StoreError, match=r"-1\.parquet cannot be written \(.*No space left.*merge 3 parts: has its volume"
    ):
        merge_parts(batches, "t", 0, before=110)
    assert numbers(batches) == list(range(110))


def test_a_damaged_part_ends_a_merge_with_a_sentence_that_names_it(batches: Path) -> None:
    cut(batches / f"t-0-{10:020d}.parquet")
    with pytest.raises(StoreError, match=r"t-0-0{18}10\.parquet cannot be read \("):
        merge_parts(batches, "t", 0, before=110)
    assert len(parts_of(batches, ("t", 0))) == 11


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


@pytest.mark.parametrize("number", [errno.EACCES, errno.ESTALE, errno.EIO])
def test_a_volume_that_is_away_is_no_empty_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    """A worker ended in a traceback, and a folder that it may not read had no parts: nothing to train on."""
    archive, log = EventArchive(str(tmp_path / "archive")), OfflineLog(tmp_path, View.USER_SEARCHES)
    archive.write(Batch(Topic.SEARCH, 0, 0, 1, []))
    log.write_part(Topic.SEARCH, 0, 0, 0, [UserSearches(entity_id="u", partition=0, offset=0)])

    def away(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    for function in ("stat", "listdir", "scandir"):
        monkeypatch.setattr(os, function, away)
    looks: list[Callable[[], object]] = [
        lambda: archive.read(Topic.SEARCH, 0, 0),
        lambda: read_archive(str(tmp_path / "archive"), Topic.SEARCH),
        lambda: log.read_part(Topic.SEARCH, 0, 0, 0),
        lambda: log.last_row(Topic.SEARCH, 0, 1),
        lambda: merge_parts(log.folder, "search-events", 0, before=1),
    ]
    told = []
    for look in looks:
        with pytest.raises(StoreError) as error:
            look()
        told.append(str(error.value))
    monkeypatch.undo()
    assert all(f"cannot be read ([Errno {number}]" in text for text in told)


@pytest.fixture
def batches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with eleven parts of ten numbers, of partition 0; three of them are merged, and three merges."""
    monkeypatch.setattr(parts, "FAN", 3)
    for first in range(0, 110, 10):
        write(tmp_path, 0, first)
    write(tmp_path, 1, 0)
    return tmp_path


def write(folder: Path, partition: int, first: int, size: int = 10) -> None:
    table = pa.table({"number": range(first, first + size)}).replace_schema_metadata({"end": str(first + size)})
    create_part(folder / f"t-{partition}-{first:020d}.parquet", table, wanted="begin")


def numbers(folder: Path, partition: int = 0) -> list[int]:
    """What the parts of a partition hold, one after the other."""
    own = [part for part in parts_of(folder) if part.partition == partition]
    return [number for part in own for number in pq.read_table(part.path)["number"].to_pylist()]


def names(folder: Path) -> list[str]:
    return sorted(path.name.replace("0" * 17, "") for path in folder.iterdir())


def test_parts_that_are_done_become_few_and_hold_the_same(batches: Path) -> None:
    merge_parts(batches, "t", 0, before=110)

    assert numbers(batches) == list(range(110))
    assert names(batches) == ["t-0-000-090-2.parquet", "t-0-090.parquet", "t-0-100.parquet", "t-1-000.parquet"]
    assert pq.read_schema(parts_of(batches)[0].path).metadata == {b"end": b"90"}, "the footer of the last"


def test_a_folder_is_not_listed_for_each_merge(batches: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With 200,000 parts of a release before, a worker stood still for 20 s to merge four times 64 of them."""
    real, listings = os.listdir, itertools.count()
    monkeypatch.setattr(os, "listdir", lambda folder: (next(listings), real(folder))[1])

    merge_parts(batches, "t", 0, before=110)

    assert next(listings) == 2, "and the second only shows that nothing ran through the first"
    assert "t-0-000-090-2.parquet" in names(batches), "four merges"


def test_parts_of_another_partition_are_left_alone(batches: Path) -> None:
    assert [part.first_offset for part in parts_of(batches, ("t", 1))] == [0]
    create_part(batches / f"t-0-1-{0:020d}.parquet", ONE, wanted="begin")  # of the topic t-0
    assert len(parts_of(batches, ("t", 0))) == 11


def test_from_the_committed_offset_on_parts_stay_as_they_are(batches: Path) -> None:
    merge_parts(batches, "t", 0, before=50)

    assert "t-0-000-030-1.parquet" in names(batches)
    assert [f"t-0-{first:03d}.parquet" in names(batches) for first in range(0, 110, 10)] == [False] * 3 + [True] * 8
    assert numbers(batches) == list(range(110))


def test_big_parts_stay_and_smaller_ones_behind_them_are_merged(batches: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for first in (0, 10, 20):
        (batches / f"t-0-{first:020d}.parquet").unlink()
        write(batches, 0, first, size=10_000)
    monkeypatch.setattr(parts, "MOST_BYTES", 20_000)

    merge_parts(batches, "t", 0, before=90)

    assert [f"t-0-{first:03d}.parquet" in names(batches) for first in (0, 10, 20)] == [True] * 3
    assert {"t-0-030-060-1.parquet", "t-0-060-090-1.parquet"} < set(names(batches))


def test_parts_that_are_small_on_the_disk_alone_stay(batches: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """4096 parts of one user's rows had 13 MB and took 2 GB to merge, as much as a worker may have."""
    alike = pa.table({"number": [[7] * 1_000] * 10})
    for first in (0, 10, 20):
        path = batches / f"t-0-{first:020d}.parquet"
        path.unlink()
        create_part(path, alike, wanted="begin")
    monkeypatch.setattr(parts, "MOST_VALUES", 29_999)
    assert sum(path.stat().st_size for path in batches.iterdir()) < 20_000

    merge_parts(batches, "t", 0, before=90)

    assert [f"t-0-{first:03d}.parquet" in names(batches) for first in (0, 10, 20)] == [True] * 3
    assert {"t-0-030-060-1.parquet", "t-0-060-090-1.parquet"} < set(names(batches))
    monkeypatch.setattr(parts, "MOST_VALUES", 30_000)
    merge_parts(batches, "t", 0, before=90)
    assert "t-0-000-030-1.parquet" in names(batches)


@pytest.mark.parametrize("step", ["link", "unlink"])
def test_a_merge_that_is_killed_doubles_and_loses_nothing_and_is_finished_later(
    batches: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    class Killed(BaseException):
        pass

    calls = []
    real = Path.unlink

    def killed(self: Path, missing_ok: bool = False) -> None:
        calls.append(self.name)
        if len(calls) > 2:  # the name aside, and the first part
            raise Killed
        real(self, missing_ok)

    def not_linked(source: Path, target: Path) -> None:
        raise Killed

    with monkeypatch.context() as dying:
        dying.setattr(*{"link": (os, "link", not_linked), "unlink": (Path, "unlink", killed)}[step])
        with pytest.raises(Killed):
            merge_parts(batches, "t", 0, before=60)

    assert numbers(batches) == list(range(110))
    if step == "unlink":
        assert {"t-0-000-030-1.parquet", "t-0-020.parquet"} < set(names(batches)), "both are there"
    merge_parts(batches, "t", 0, before=60)
    assert numbers(batches) == list(range(110))
    assert [f"t-0-{first:03d}.parquet" in names(batches) for first in (0, 10, 20)] == [False] * 3


def test_a_worker_that_comes_back_from_the_dead_takes_nothing_with_it(
    batches: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It read three parts, and stood still; another one merged them, and that merge with two more."""
    real = parts.write_aside

    def late(path: Path, table: pa.Table) -> Path:
        with monkeypatch.context() as awake:
            awake.setattr(parts, "write_aside", real)
            merge_parts(batches, "t", 0, before=90)
        assert "t-0-000-090-2.parquet" in names(batches)
        return real(path, table)

    monkeypatch.setattr(parts, "write_aside", late)
    merge_parts(batches, "t", 0, before=30)
    monkeypatch.setattr(parts, "write_aside", real)

    assert numbers(batches) == list(range(110))
    create_part(batches / f"t-0-{10:020d}.parquet", pa.table({"number": [-1]}), wanted="begin")  # another batch of it
    assert numbers(batches) == list(range(110))
    merge_parts(batches, "t", 0, before=110)
    assert numbers(batches) == list(range(110))
    assert names(batches) == ["t-0-000-090-2.parquet", "t-0-090.parquet", "t-0-100.parquet", "t-1-000.parquet"]


def test_a_merge_whose_parts_another_process_merged_ends_without_a_word(
    batches: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was told as a damaged part, to be put back from a backup."""
    real = parts.write_aside

    def overtaken(path: Path, table: pa.Table) -> Path:
        monkeypatch.setattr(parts, "write_aside", real)
        merge_parts(batches, "t", 0, before=110)
        return real(path, table)

    monkeypatch.setattr(parts, "write_aside", overtaken)
    merge_parts(batches, "t", 0, before=110)

    assert numbers(batches) == list(range(110))


@pytest.mark.parametrize("torn", [0, 1])
def test_a_listing_that_a_merge_runs_through_is_made_anew(
    batches: Path, monkeypatch: pytest.MonkeyPatch, torn: int
) -> None:
    """It showed the parts that it had passed before the merge, and neither the others nor the merge."""
    real, listings = os.listdir, itertools.count()

    def listed(folder: Path) -> list[str]:
        before = real(folder)
        if next(listings) == torn:
            with monkeypatch.context() as another:
                another.setattr(os, "listdir", real)
                merge_parts(batches, "t", 0, before=60)
            return [name for name in before if (folder / name).exists()]
        return real(folder)

    monkeypatch.setattr(os, "listdir", listed)

    assert numbers(batches) == list(range(110))


def test_a_reader_whose_parts_are_merged_meanwhile_begins_anew(batches: Path) -> None:
    merges = iter([60, 110])

    def read() -> list[int]:
        listed = parts_of(batches)
        for before in merges:
            merge_parts(batches, "t", 0, before=before)
            break
        return [number for part in listed for number in pq.ParquetFile(part.path).read()["number"].to_pylist()]

    assert while_parts_stay(read) == [*range(110), *range(10)], "and of partition 1"


def test_a_part_that_stays_away_is_told(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        while_parts_stay((tmp_path / "a.parquet").read_bytes)
