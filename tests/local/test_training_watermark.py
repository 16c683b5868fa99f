"""A label waits until every partition has passed the end of its window, out of an archive on disk."""

import errno
import os
import shutil

import msgspec
import pytest

from watchnext import parts
from watchnext.clock import DAY_MS, HOUR_MS
from watchnext.contracts.events import CatalogEvent, Event, ImpressionEvent, WatchEvent
from watchnext.contracts.names import DERIVED_SURFACE, Topic
from watchnext.errors import DataError, StoreError
from watchnext.parts import merge_parts, parts_of
from watchnext.settings import load_settings
from watchnext.stream.archive import Batch, EventArchive, read_archive
from watchnext.training.snapshot import freeze
from watchnext.training.split import split_log

T0 = 20_000 * DAY_MS


def watch(user: str, at_ms: int) -> WatchEvent:
    return WatchEvent(
        event_id=f"w-{user}-{at_ms}",
        user_id=user,
        video_id="film",
        started_at=at_ms,
        watch_seconds=0.0,
        video_seconds=60.0,
        completed=True,
    )


def impression(user: str, at_ms: int) -> ImpressionEvent:
    return ImpressionEvent(
        event_id=f"i-{user}-{at_ms}", request_id=f"r-{at_ms}", user_id=user, video_id="film", position=0, shown_at=at_ms
    )


@pytest.fixture
def settings(tmp_path):
    settings = load_settings(home=tmp_path)
    archive = EventArchive(settings.archive_path)

    def write(topic: Topic, partition: int, *events: Event) -> None:
        archive.write(Batch(topic, partition, 0, len(events), list(enumerate(events))))

    film = CatalogEvent(video_id="film", channel_id="c", topics=[], language="en", uploaded_at=T0, video_seconds=60.0)
    write(Topic.CATALOG, 0, film)
    # ann's partition has brought twelve hours of watches, bob's, which is behind, the first three.
    write(Topic.WATCH, 0, *(watch("ann", T0 + hour * HOUR_MS) for hour in range(13)))
    write(Topic.WATCH, 1, *(watch("bob", T0 + hour * HOUR_MS) for hour in range(4)))
    write(Topic.IMPRESSION, 1, *(impression("bob", T0 + hour * HOUR_MS - 60_000) for hour in range(1, 10)))
    return settings


def test_an_impression_is_no_unclicked_one_while_its_watch_may_still_be_on_its_way(settings, tmp_path):
    snapshot = freeze(settings, tmp_path / "snapshot")
    assert (snapshot.end_ms, snapshot.watermark_ms) == (T0 + 12 * HOUR_MS, T0 + 3 * HOUR_MS)

    shown = split_log(settings, snapshot, per_user=10).shown

    # Half an hour after 2:59 is beyond the watermark; bob clicked both of the others within a minute.
    assert shown["now_ms"].tolist() == [T0 + HOUR_MS - 60_000, T0 + 2 * HOUR_MS - 60_000]
    assert shown["clicked"].all()


def test_a_snapshot_is_frozen_again_into_its_folder(settings, tmp_path):
    """The parts that were there ended it with a SameFileError; a folder of other parts would have been read too."""
    first = freeze(settings, tmp_path / "snapshot")
    stray = tmp_path / "snapshot" / "archive" / Topic.WATCH.value / "gone.parquet"
    part = tmp_path / "snapshot" / next(name for name in first.parts if Topic.WATCH.value in name)
    shutil.copyfile(part, stray)
    part.unlink()
    part.write_bytes(b"half a copy of a freezing that was killed")

    assert freeze(settings, tmp_path / "snapshot") == first
    assert not stray.exists()
    assert freeze(settings, tmp_path / "other").id == first.id
    with pytest.raises(DataError, match="holds the archive itself"):
        freeze(settings, settings.home)


def test_an_impression_in_a_partition_without_any_watch_is_no_unclicked_one(settings, tmp_path):
    """The watermark was that of the other partitions: all that dan was shown counted as unclicked."""
    archive = EventArchive(settings.archive_path)
    archive.write(Batch(Topic.IMPRESSION, 2, 0, 1, [(0, impression("dan", T0 + HOUR_MS))]))

    before = split_log(settings, freeze(settings, tmp_path / "before"), per_user=10).shown
    archive.write(Batch(Topic.WATCH, 2, 0, 1, [(0, watch("dan", T0 + 4 * HOUR_MS))]))
    after = split_log(settings, freeze(settings, tmp_path / "after"), per_user=10).shown

    assert set(before["user_id"]) == {"bob"}
    assert set(after["user_id"]) == {"bob", "dan"}


def test_an_impression_of_a_made_up_time_is_met_and_never_a_label(settings, tmp_path):
    """Shown five minutes before cid's watch, so it would take the watch for its click and its time for the label's."""
    archive = EventArchive(settings.archive_path)
    made_up = msgspec.structs.replace(impression("cid", T0 + HOUR_MS - 300_000), surface=DERIVED_SURFACE)
    archive.write(Batch(Topic.IMPRESSION, 0, 0, 1, [(0, made_up)]))
    archive.write(Batch(Topic.WATCH, 0, 13, 14, [(13, watch("cid", T0 + HOUR_MS))]))

    events = split_log(settings, freeze(settings, tmp_path / "snapshot"), per_user=100)

    assert set(events.shown["user_id"]) == {"bob"}
    assert events.learnt["now_ms"][events.learnt["user_id"] == "cid"].tolist() == [T0 + HOUR_MS]
    assert events.met["user_id"].tolist().count("cid") == 2  # the watch and the impression
    assert set(events.met["user_id"]) - set(events.met_unlabelled["user_id"]) == {"bob"}  # of him there are labels


def test_a_snapshot_of_parts_that_are_merged_meanwhile_holds_each_event_once(settings, tmp_path, monkeypatch):
    monkeypatch.setattr(parts, "FAN", 2)
    archive, folder = EventArchive(settings.archive_path), tmp_path / "archive" / Topic.WATCH.value
    for hour in range(13, 21):
        archive.write(Batch(Topic.WATCH, 0, hour, hour + 1, [(hour, watch("ann", T0 + hour * HOUR_MS))]))
    merges = iter([15, 17, 21])
    real = os.link

    def link(source, target):
        if target.is_relative_to(tmp_path / "snapshot") and (before := next(merges, None)):
            merge_parts(folder, Topic.WATCH.value, 0, before=before)
        real(source, target)

    monkeypatch.setattr(os, "link", link)
    snapshot = freeze(settings, tmp_path / "snapshot")
    (left,) = (part for part in parts_of(folder) if part.partition == 1)
    shutil.copy(left.path, folder / f"{Topic.WATCH.value}-0-{5:020d}.parquet")  # a killed merge has left one

    assert next(merges, None) is None
    for one in (snapshot, freeze(settings, tmp_path / "again")):
        assert sum(count for name, count in one.parts.items() if Topic.WATCH.value in name) == 21 + 4
        found = sorted(read_archive(str(one.folder / "archive"), Topic.WATCH)["event_id"].to_pylist())
        assert len(found) == len(set(found)) == 25


def test_a_snapshot_on_another_file_system_keeps_its_copies_while_parts_are_merged(settings, tmp_path, monkeypatch):
    """Each merge made it begin anew, from the first part on, and after six it gave up."""
    monkeypatch.setattr(parts, "FAN", 2)
    archive, folder = EventArchive(settings.archive_path), tmp_path / "archive" / Topic.WATCH.value
    for hour in range(13, 61):
        archive.write(Batch(Topic.WATCH, 0, hour, hour + 1, [(hour, watch("ann", T0 + hour * HOUR_MS))]))
    merges, copies = iter(range(15, 61, 2)), []
    real_link, real_copy = os.link, shutil.copyfile

    def link(source, target):
        if target.is_relative_to(tmp_path / "snapshot"):
            raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))
        real_link(source, target)

    def copy(source, target):
        real_copy(source, target)
        copies.append(target)
        if (before := next(merges, None)) is not None:
            merge_parts(folder, Topic.WATCH.value, 0, before=before)

    monkeypatch.setattr(os, "link", link)
    monkeypatch.setattr(shutil, "copyfile", copy)
    snapshot = freeze(settings, tmp_path / "snapshot")

    assert next(merges, None) is None
    assert len(copies) == len(set(copies))
    found = read_archive(str(snapshot.folder / "archive"), Topic.WATCH)["event_id"].to_pylist()
    assert len(found) == len(set(found)) == 61 + 4


def test_a_damaged_part_is_named(settings, tmp_path):
    part = next((tmp_path / "archive" / Topic.WATCH.value).glob("*.parquet"))
    part.write_bytes(part.read_bytes()[:40])
    with pytest.raises(StoreError, match=f"{part} cannot be read .* put back from a backup"):
        freeze(settings, tmp_path / "snapshot")


def test_an_archive_whose_watches_were_all_dead_letters_has_none(tmp_path):
    settings = load_settings(home=tmp_path)
    EventArchive(settings.archive_path).write(Batch(Topic.WATCH, 0, 0, 3, []))
    with pytest.raises(DataError, match="has no watch events"):
        freeze(settings, tmp_path / "snapshot")
