"""Parts of the archive on a real file system."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from watchnext.contracts.events import (
    CatalogEvent,
    Event,
    ImpressionEvent,
    ProfileEvent,
    SearchEvent,
    ServedEvent,
    ServedItem,
    VideoDelta,
    WatchEvent,
)
from watchnext.contracts.names import Topic, View
from watchnext.errors import ConfigError, StoreError
from watchnext.store.offline import OfflineLog
from watchnext.stream.archive import Batch, EventArchive, events_of, read_archive
from watchnext.stream.materializer import Materializer

EVENTS: list[tuple[Topic, Event]] = [
    (
        Topic.WATCH,
        WatchEvent(
            event_id="e",
            user_id="u",
            video_id="v",
            started_at=1_000,
            watch_seconds=0.1,
            video_seconds=3.5,
            completed=True,
        ),
    ),
    (Topic.SEARCH, SearchEvent(event_id="e", user_id="ü", query="", searched_at=1)),
    (
        Topic.SERVED,
        ServedEvent(
            request_id="r",
            user_id="u",
            served_at=1,
            items=[
                ServedItem(video_id="a", position=0, sources=["tower", "fresh"], scores=[0.1], expected_seconds=2.5),
                ServedItem(video_id="b", position=1, sources=[], features="AAAA"),
            ],
        ),
    ),
    (Topic.SERVED, ServedEvent(request_id="r", user_id="u", served_at=1, items=[], degraded=["ranking"])),
    (
        Topic.IMPRESSION,
        ImpressionEvent(event_id="e", request_id="r", user_id="u", video_id="v", position=3, shown_at=9),
    ),
    (Topic.CATALOG, CatalogEvent(video_id="v", uploaded_at=0, video_seconds=1, topics=["x", ""])),
    (Topic.PROFILE, ProfileEvent(user_id="u", birth_year=None, age=17.5)),
    (
        Topic.VIDEO_DELTAS,
        VideoDelta(video_id="v", topic="watch-events", partition=9, offset=8, hour=7, available_at=6, watches=1),
    ),
]


@pytest.mark.parametrize(("topic", "event"), EVENTS)
def test_an_event_comes_back_as_it_was(tmp_path: Path, topic: Topic, event: Event) -> None:
    archive = EventArchive(str(tmp_path))
    batch = Batch(topic, 2, 10, 15, [(11, event), (14, event)])
    archive.write(batch)
    assert archive.read(topic, 2, 10) == batch


def test_a_part_older_than_a_field_gives_its_default(tmp_path: Path) -> None:
    archive = EventArchive(str(tmp_path))
    batch = Batch(Topic.SERVED, 0, 0, 1, [(0, ServedEvent(request_id="r", user_id="u", served_at=1, items=[]))])
    archive.write(batch)
    (path,) = (tmp_path / "served-events").iterdir()
    pq.write_table(pq.ParquetFile(path).read().drop_columns(["arm", "seed_video_id"]), path)

    assert archive.read(Topic.SERVED, 0, 0) == batch
    assert events_of(read_archive(str(tmp_path), Topic.SERVED), Topic.SERVED) == batch.events


def test_a_line_of_a_list_in_a_part_older_than_its_field_has_the_default(tmp_path: Path) -> None:
    archive = EventArchive(str(tmp_path))
    item = ServedItem(video_id="v", position=0, sources=["tower"])
    batch = Batch(Topic.SERVED, 0, 0, 1, [(0, ServedEvent(request_id="r", user_id="u", served_at=1, items=[item]))])
    archive.write(batch)
    (path,) = (tmp_path / "served-events").iterdir()
    table = pq.ParquetFile(path).read()
    items = [[{"video_id": "v", "position": 0, "sources": ["tower"]}]]
    old = pa.struct([("video_id", pa.string()), ("position", pa.int64()), ("sources", pa.list_(pa.string()))])
    place = table.column_names.index("items")
    pq.write_table(table.set_column(place, "items", pa.array(items, pa.list_(old))), path)

    assert archive.read(Topic.SERVED, 0, 0) == batch
    assert events_of(read_archive(str(tmp_path), Topic.SERVED), Topic.SERVED) == batch.events


def test_a_delta_of_no_known_hour_comes_back(tmp_path: Path) -> None:
    archive = EventArchive(str(tmp_path))
    delta = VideoDelta(video_id="v", topic="watch-events", partition=0, offset=0, hour=None, available_at=6)
    archive.write(Batch(Topic.VIDEO_DELTAS, 0, 0, 1, [(0, delta)]))
    assert archive.read(Topic.VIDEO_DELTAS, 0, 0) == Batch(Topic.VIDEO_DELTAS, 0, 0, 1, [(0, delta)])


def test_a_batch_without_good_events_keeps_its_range(tmp_path: Path) -> None:
    archive = EventArchive(str(tmp_path))
    archive.write(Batch(Topic.SEARCH, 0, 7, 9, []))
    assert archive.read(Topic.SEARCH, 0, 7) == Batch(Topic.SEARCH, 0, 7, 9, [])
    assert archive.read(Topic.SEARCH, 0, 8) is None


def test_the_second_writer_of_a_part_fails_and_leaves_the_first_ones(tmp_path: Path) -> None:
    archive = EventArchive(str(tmp_path))
    first = Batch(Topic.SEARCH, 0, 7, 9, [(7, EVENTS[1][1])])
    archive.write(first)
    with pytest.raises(StoreError, match="another worker has taken over"):
        archive.write(Batch(Topic.SEARCH, 0, 7, 30, []))
    assert archive.read(Topic.SEARCH, 0, 7) == first
    assert [path.name for path in (tmp_path / "search-events").iterdir()] == [
        "search-events-0-00000000000000000007.parquet"
    ]


def test_a_second_worker_of_the_same_pid_leaves_the_part_of_a_worker_that_died_after_the_link(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(path: Path, missing_ok: bool = False) -> None:
        raise SystemExit

    archive = EventArchive(str(tmp_path))
    first = Batch(Topic.SEARCH, 0, 7, 9, [(7, EVENTS[1][1])])
    monkeypatch.setattr(Path, "unlink", die)
    with pytest.raises(SystemExit):
        archive.write(first)
    monkeypatch.undo()
    with pytest.raises(StoreError, match="another worker has taken over"):
        archive.write(Batch(Topic.SEARCH, 0, 7, 30, []))
    assert archive.read(Topic.SEARCH, 0, 7) == first


def test_rows_that_were_folded_from_another_batch_do_not_finish_this_one(tmp_path: Path) -> None:
    archive, log = EventArchive(str(tmp_path / "archive")), OfflineLog(tmp_path / "offline", View.USER_SEARCHES)
    archive.write(Batch(Topic.SEARCH, 0, 7, 9, [(7, EVENTS[1][1])]))
    log.write_part(Topic.SEARCH, 0, 7, 29, [])
    materializer: Any = Materializer.__new__(Materializer)  # without a broker and a store: it must not come to these
    materializer._archive, materializer._offline = archive, {View.USER_SEARCHES: log}
    with pytest.raises(StoreError, match="ends at offset 29; wanted 8"):
        materializer.finish(Topic.SEARCH, 0, 7)


def test_the_archive_reads_in_log_order_and_up_to_a_time(tmp_path: Path) -> None:
    archive = EventArchive(str(tmp_path))
    events = [SearchEvent(event_id=f"e{at}", user_id="u", query="q", searched_at=at) for at in (50, 10, 30)]
    archive.write(Batch(Topic.SEARCH, 1, 0, 1, [(0, events[0])]))
    archive.write(Batch(Topic.SEARCH, 0, 5, 7, [(5, events[1]), (6, events[2])]))
    assert read_archive(str(tmp_path), Topic.SEARCH)["event_id"].to_pylist() == ["e10", "e30", "e50"]
    assert read_archive(str(tmp_path), Topic.SEARCH, until=30)["event_id"].to_pylist() == ["e10", "e30"]
    assert read_archive(str(tmp_path), Topic.WATCH).num_rows == 0


def test_a_url_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"features\.archive is 's3://bucket'"):
        EventArchive("s3://bucket")
