"""Served lists as training reads them, from an archive written by hand."""

import tracemalloc
from pathlib import Path

import pandas as pd

from watchnext.contracts.events import ServedEvent, ServedItem
from watchnext.contracts.names import Topic
from watchnext.stream.archive import Batch, EventArchive
from watchnext.training import log
from watchnext.training.labels import ranking_labels
from watchnext.training.snapshot import Snapshot

END_MS = 1_000


def list_of(user: str, request: str, served_at: int, *videos: str) -> ServedEvent:
    items = [
        ServedItem(video_id=video, position=at, sources=["tower"], scores=[0.5], features="A" * 264)
        for at, video in enumerate(videos)
    ]
    return ServedEvent(user_id=user, request_id=request, served_at=served_at, items=items)


def snapshot_of(folder: Path, *events: ServedEvent) -> Snapshot:
    batch = Batch(Topic.SERVED, 0, 0, len(events), list(enumerate(events)))
    EventArchive(str(folder / "archive")).write(batch)
    return Snapshot(id="s", end_ms=END_MS, watermark_ms=END_MS, parts={}, folder=folder)


def test_each_request_has_its_first_lines_beside_it(tmp_path):
    snapshot = snapshot_of(
        tmp_path,
        list_of("u", "r1", 10, "a", "b"),
        list_of("u", "r1", 20, "c"),  # sent again
        list_of("v", "r1", 30),
        list_of("u", "r2", 40, "d"),
        list_of("u", "r3", END_MS + 1, "e"),
    )
    lists, lines = log.served(snapshot)
    assert lists[["user_id", "request_id", "served_at"]].to_numpy().tolist() == [
        ["u", "r1", 10],
        ["v", "r1", 30],
        ["u", "r2", 40],
    ]
    assert [[line["video_id"] for line in of_list] for of_list in lines.to_pylist()] == [["a", "b"], [], ["d"]]


def test_a_line_of_a_served_list_is_no_dict(tmp_path):
    """A million lists of 20 videos took 26 GB, feature vectors among them, which no label reads."""
    count, length = 500, 40
    events = [list_of("u", f"r{at}", 10, *(f"v{video}" for video in range(length))) for at in range(count)]
    snapshot = snapshot_of(tmp_path, *events)
    shown = pd.DataFrame({"request_id": [f"r{at}" for at in range(count)], "user_id": "u", "video_id": "v7"})
    tracemalloc.start()
    try:
        labels = ranking_labels(shown.assign(shown_at=20, begun_at=20), *log.served(snapshot))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert (labels["score"] == 0.5).all()
    assert peak < 150 * count * length  # bytes; a dict alone has more
