"""Counters as of a time, out of an archive on disk."""

import msgspec
import numpy as np
import pandas as pd
import pytest

from tests.unit.features.world import decayed_totals
from watchnext.clock import DAY_MS, HOUR_MS
from watchnext.contracts.events import VideoDelta
from watchnext.contracts.names import Topic
from watchnext.features.spec import COUNTER_HALF_LIFE_HOURS
from watchnext.settings import load_settings
from watchnext.stream.archive import Batch, EventArchive
from watchnext.stream.counters import fold_delta
from watchnext.stream.folds import Position
from watchnext.training.counters import Deltas

T0 = 1_000 * DAY_MS


def impression(video: str, at_ms: int, *, partition: int, offset: int) -> VideoDelta:
    return VideoDelta(
        video_id=video,
        topic=Topic.IMPRESSION.value,
        partition=partition,
        offset=offset,
        hour=at_ms // HOUR_MS,
        available_at=at_ms,
        impressions=1,
    )


# The partition 1 of the users came a day late: all of partition 0 was counted before.
FIRST = [impression("film", T0 + hour * HOUR_MS, partition=0, offset=hour) for hour in range(24)]
SECOND = [impression("film", T0 + hour * HOUR_MS + 1, partition=1, offset=hour) for hour in range(24)]
SENT = [*FIRST, *SECOND, SECOND[0], impression("song", T0, partition=1, offset=30)]  # one was sent twice


@pytest.fixture
def settings(tmp_path):
    settings = load_settings(home=tmp_path)
    deltas = list(enumerate(SENT))
    EventArchive(settings.archive_path).write(Batch(Topic.VIDEO_DELTAS, 0, 0, len(deltas), deltas))
    return settings


def test_what_a_slower_partition_brought_later_counts_at_its_own_time(settings):
    at_ms = T0 + 2 * HOUR_MS  # partition 0: hours 0, 1 and 2; partition 1: hours 0 and 1, its third comes 1 ms later
    asked = pd.Series(["film", "song", "nobody", "film", "film"])
    times = pd.Series([at_ms, at_ms, at_ms, T0 - 1, at_ms])
    half = 0.5 ** (1 / COUNTER_HALF_LIFE_HOURS)  # of an hour
    film = 2 * half**2 + 2 * half + 1
    found = Deltas.read(settings, at_ms).as_of(asked, times)
    assert found[:, 0] == pytest.approx([film, half**2, 0, 0, film])
    assert found[:, 1:].max() == 0


def test_what_has_no_hour_counts_from_its_made_up_time_on(tmp_path):
    settings = load_settings(home=tmp_path)
    shown = msgspec.structs.replace(impression("film", T0, partition=0, offset=0), hour=None, completions=1)
    EventArchive(settings.archive_path).write(Batch(Topic.VIDEO_DELTAS, 0, 0, 1, [(0, shown)]))
    deltas = Deltas.read(settings, T0 + 9 * DAY_MS)
    at_once = deltas.as_of(pd.Series(["film", "film"]), pd.Series([T0 - 1, T0 + 9 * DAY_MS]))
    assert at_once[:, :3].tolist() == [[0, 0, 0], [1, 0, 1]]


def test_at_the_end_the_counters_are_those_of_the_streams_rows(settings):
    row = None
    for offset, delta in enumerate(SENT):
        if delta.video_id == "film":
            row = fold_delta(row, delta, Position(0, offset)) or row
    assert sum(row.bucket_impressions) == 48
    found = Deltas.read(settings, T0 + 2 * DAY_MS).at(["nobody", "film"], T0 + 2 * DAY_MS)
    wanted = decayed_totals(msgspec.structs.asdict(row), T0 + 2 * DAY_MS)
    np.testing.assert_array_equal(found, np.array([np.zeros(5), wanted], np.float32))


def test_as_of_any_time_the_counters_are_those_of_the_fold(tmp_path):
    """Oracle: the stream's own fold of the deltas that were available, decayed."""
    draw = np.random.default_rng(4)
    times = T0 + draw.integers(0, 40 * HOUR_MS, 600)  # of more hours than a row has buckets
    deltas = [
        VideoDelta(
            video_id=f"v{draw.integers(3)}",
            topic=Topic.WATCH.value,
            partition=0,
            offset=offset,
            hour=None if draw.random() < 0.1 else at_ms // HOUR_MS,
            available_at=at_ms,
            clicks=int(draw.integers(2)),
            completions=int(draw.integers(2)),
            watches=1,
            watch_ms=int(draw.integers(1, 10**7)),
        )
        for offset, at_ms in enumerate(np.sort(times).tolist())
    ]
    settings = load_settings(home=tmp_path)
    EventArchive(settings.archive_path).write(
        Batch(Topic.VIDEO_DELTAS, 0, 0, len(deltas), [*enumerate(deltas)][::-1])  # as they came: the newest first
    )
    asked = [(f"v{draw.integers(4)}", int(at_ms)) for at_ms in T0 + draw.integers(-HOUR_MS, 50 * HOUR_MS, 500)]
    folded = []
    for video, at_ms in asked:
        row = None
        for offset, delta in enumerate(deltas):
            if delta.video_id == video and delta.available_at <= at_ms:
                row = fold_delta(row, delta, Position(0, offset))
        folded.append(np.zeros(5) if row is None else decayed_totals(msgspec.structs.asdict(row), at_ms))
    videos, moments = (pd.Series(list(values)) for values in zip(*asked, strict=True))
    found = Deltas.read(settings, T0 + 60 * HOUR_MS).as_of(videos, moments)
    np.testing.assert_array_equal(found, np.array(folded, np.float32))
    assert len(np.unique(found[:, 3])) > 200


def test_no_videos_have_no_counters(settings):
    nothing = pd.Series([], dtype=object)
    assert Deltas.read(settings, T0).as_of(nothing, pd.Series([], dtype=np.int64)).shape == (0, 5)
    assert Deltas.read(settings, T0).at([], T0).shape == (0, 5)


def test_without_deltas_all_counters_are_zero(tmp_path):
    deltas = Deltas.read(load_settings(home=tmp_path), T0)
    assert deltas.as_of(pd.Series(["film"]), pd.Series([T0])).tolist() == [[0] * 5]
