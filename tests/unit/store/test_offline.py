from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from watchnext.contracts.names import Topic, View
from watchnext.contracts.rows import UserWatches
from watchnext.errors import ConfigError, StoreError
from watchnext.parts import Part
from watchnext.store.offline import OfflineLog


def row(offset: int, **features: object) -> UserWatches:
    return UserWatches(entity_id=f"u{offset}", event_timestamp=1_700_000_000_000_001, offset=offset, **features)  # type: ignore[arg-type]


@pytest.fixture
def log(tmp_path: Path) -> OfflineLog:
    return OfflineLog(tmp_path, View.USER_WATCHES)


def last_offset(part: Part) -> int:
    """As its footer tells."""
    return int(pq.read_schema(part.path).metadata[b"watchnext.last_offset"])


def test_a_part_holds_key_time_and_every_feature(log: OfflineLog) -> None:
    path = log.write_part(
        Topic.WATCH, 3, 7, 9, [row(7, watch_video_ids=["v1"], watch_seconds=[1.5], watches=1), row(9)]
    )

    assert path.name == "watch-events-3-00000000000000000007.parquet"
    first, second = pq.read_table(path).to_pylist()
    assert first.keys() == {"user_id", "event_timestamp", *UserWatches.features()}
    assert (first["user_id"], first["offset"], first["watch_video_ids"]) == ("u7", 7, ["v1"])
    assert first["event_timestamp"] == datetime(2023, 11, 14, 22, 13, 20, 1, tzinfo=UTC)
    assert (second["watch_video_ids"], second["watch_seconds"], second["watches"]) == ([], [], 0)


def test_parts_are_listed_by_partition_and_offset_with_their_ranges(log: OfflineLog) -> None:
    for partition, first, last in ((1, 0, 4), (0, 10, 12), (0, 2, 9)):
        log.write_part(Topic.WATCH, partition, first, last, [row(first)])
    log.create()
    (log.folder / ".left-over-0-00000000000000000000.parquet.1.tmp").touch()

    assert [(part.partition, part.first_offset, last_offset(part)) for part in log.parts()] == [
        (0, 2, 9),
        (0, 10, 12),
        (1, 0, 4),
    ]


def test_a_part_is_never_written_over(log: OfflineLog) -> None:
    log.write_part(Topic.WATCH, 0, 5, 6, [row(5, watches=1)])

    with pytest.raises(StoreError, match="another worker"):
        log.write_part(Topic.WATCH, 0, 5, 8, [row(5, watches=2)])

    (part,) = log.parts()
    assert last_offset(part) == 6
    assert [path.name for path in log.folder.iterdir()] == [part.path.name], "nothing is left aside"


def test_rows_of_another_batch_are_not_taken_for_this_ones(log: OfflineLog) -> None:
    rows = [row(5, watches=1)]
    log.write_part(Topic.WATCH, 0, 5, 6, rows)

    assert log.read_part(Topic.WATCH, 0, 5, 6) == rows
    assert log.read_part(Topic.WATCH, 0, 7, 8) is None
    with pytest.raises(StoreError, match="ends at offset 6; wanted 8, where the archive's part ends"):
        log.read_part(Topic.WATCH, 0, 5, 8)


def test_the_last_row_before_an_offset_is_that_of_the_last_part_with_rows(log: OfflineLog) -> None:
    log.write_part(Topic.WATCH, 0, 0, 4, [row(0), row(3, watches=2)])
    log.write_part(Topic.WATCH, 0, 5, 6, [])
    log.write_part(Topic.WATCH, 0, 7, 9, [row(9)])
    log.write_part(Topic.WATCH, 10, 0, 9, [row(8)])

    assert log.last_row(Topic.WATCH, 0, 10) == row(9)
    assert log.last_row(Topic.WATCH, 0, 7) == row(3, watches=2)
    assert log.last_row(Topic.WATCH, 0, 0) is None
    assert log.last_row(Topic.WATCH, 1, 10) is None


def test_a_part_older_than_a_feature_gives_its_default(log: OfflineLog) -> None:
    """Else no worker could take a partition over after an upgrade that adds a feature."""
    path = log.write_part(Topic.WATCH, 0, 0, 4, [row(3, watches=2, completions=1)])
    part = pq.ParquetFile(path).read()
    pq.write_table(part.drop_columns(["completions"]), path)

    assert log.last_row(Topic.WATCH, 0, 5) == row(3, watches=2)
    assert log.read_part(Topic.WATCH, 0, 0, 4) == [row(3, watches=2)]


def test_of_two_writers_at_once_one_wins(log: OfflineLog) -> None:
    def write(watches: int) -> bool:
        try:
            OfflineLog(log.folder.parent, View.USER_WATCHES).write_part(
                Topic.WATCH, 0, 0, watches, [row(0, watches=watches)] * watches
            )
        except StoreError:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        won = list(pool.map(write, range(1, 9)))

    assert won.count(True) == 1
    (part,) = log.parts()
    assert pq.read_table(part.path)["watches"].to_pylist() == [last_offset(part)] * last_offset(part)


def test_a_value_of_another_type_names_its_column(log: OfflineLog) -> None:
    with pytest.raises(StoreError, match=r"user_watches\.watch_seconds"):
        log.write_part(Topic.WATCH, 0, 0, 0, [row(0, watch_seconds=["long"])])

    assert log.parts() == []


def test_a_created_log_has_the_schema_and_no_rows(log: OfflineLog) -> None:
    log.create()
    log.create()

    (path,) = log.folder.glob("*.parquet")
    assert pq.read_table(path).num_rows == 0
    assert pq.read_schema(path).names == ["user_id", "event_timestamp", *UserWatches.features()]
    assert log.parts() == []


@pytest.mark.parametrize("root", ["spark://s3a://features/offline", "bigquery://project.dataset"])
def test_a_log_that_is_no_folder_is_not_written_beside_the_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, root: str
) -> None:
    monkeypatch.chdir(tmp_path)

    with pytest.raises(ConfigError, match="want a folder"):
        OfflineLog(root, View.USER_WATCHES).write_part(Topic.WATCH, 0, 0, 0, [row(0)])

    assert list(tmp_path.iterdir()) == []
