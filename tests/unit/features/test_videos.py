import numpy as np
import pytest

from tests.unit.features.world import (
    AVERAGES,
    CATALOG,
    COUNTERS,
    NOW,
    VOCABULARIES,
    counted,
    decayed_totals,
    video_table,
)
from watchnext.features.codec import pack, unpack
from watchnext.features.videos import VideoTable
from watchnext.features.vocabulary import Vocabulary

HOUR = 3_600_000


def test_the_table_by_hand():
    videos = video_table()
    assert videos.video_ids == ["", "film", "song", "news"]
    assert videos.titles[1] == "A film ✓"
    assert videos.embedding.tolist() == [0, 2, 1, 0]
    assert videos.ranking_embedding.tolist() == [0, 1, 0, 0]
    assert videos.channel.tolist() == [0, 1, 2, 0]
    assert videos.topics[:, :3].tolist() == [[0, 0, 0], [1, 2, 0], [2, 0, 0], [3, 0, 0]]  # unknown topics leave no gap
    assert videos.language.tolist() == [0, 1, 2, 1]


def test_counters_halve_every_three_days():
    videos = video_table()
    assert videos.impressions.tolist() == [0, 8 / 2 + 4 + 2 / 2, 0, 0]
    assert videos.clicks.tolist() == [0, 1, 0, 0]
    assert videos.completions.tolist() == [0, 1 / 2 + 1 / 2, 0, 0]
    assert videos.watches.tolist() == [0, 2 / 2 + 1 + 2 / 2, 0, 0]
    assert videos.watch_seconds.tolist() == [0, 60 / 2 + 30, 0, 0]


@pytest.mark.parametrize(
    ("hours", "counts", "older", "at_hour", "value"),
    [
        ([], [], 0, 500, 0.0),
        ([500], [3], 0, 500, 3.0),
        ([428], [3], 0, 500, 1.5),
        ([356, 428], [8, 4], 4, 500, 8 / 4 + 4 / 2 + 4 / 4),
        ([600], [3], 0, 500, 3.0),  # an hour ahead of the clock counts in full
    ],
)
def test_decayed_totals_by_hand(hours, counts, older, at_hour, value):
    row = {"bucket_hours": hours, "bucket_watch_ms": counts, "older_watch_ms": older}
    for name in ("impressions", "clicks", "completions", "watches"):
        row |= {f"bucket_{name}": [0] * len(hours), f"older_{name}": 0}
    assert decayed_totals(row, at_hour * HOUR + 1) == pytest.approx((0, 0, 0, 0, value / 1000))


def test_restricted_countries_do_not_see_a_video():
    videos = video_table()
    germany, america = VOCABULARIES.countries.index("DE"), VOCABULARIES.countries.index("US")
    assert videos.allowed_in(germany).tolist() == [True, True, False, True]
    assert videos.allowed_in(america).tolist() == [True, True, True, True]
    assert videos.allowed_in(0).tolist() == [True, True, False, True]  # restricted in XX, which nobody knows


def test_take_gathers_rows_in_the_order_asked_for():
    taken = video_table().take(np.array([3, 1, 1, 0]))
    assert len(taken) == 4
    assert taken.row.tolist() == [3, 1, 1, 0]
    assert taken.channel.tolist() == [0, 1, 1, 0]
    assert taken.topics.shape == (4, 8)


def test_columns_give_the_same_table_back():
    videos = video_table()
    _, columns = unpack(pack({}, videos.columns()))
    back = VideoTable.from_columns(columns)
    assert (back.video_ids, back.titles, back.counters_at_ms) == (videos.video_ids, videos.titles, NOW)
    assert back.averages == AVERAGES
    for name, column in videos.columns().items():
        assert np.array_equal(back.columns()[name], column), name


def test_a_video_that_the_catalogue_lacks_is_named():
    catalog = {name: row for name, row in CATALOG.items() if name != "song"}
    with pytest.raises(ValueError, match="'song'"):
        VideoTable.build(
            catalog,
            counted(COUNTERS, VOCABULARIES.videos.tokens, NOW),
            VOCABULARIES,
            Vocabulary([]),
            Vocabulary([]),
            at_ms=NOW,
        )


def test_counters_of_another_number_of_videos_are_refused():
    """One line less would give each video the next one's."""
    short = counted(COUNTERS, ["film", "song"], NOW)
    with pytest.raises(ValueError, match=r"shape \(2, 5\) came for 3 videos"):
        VideoTable.build(CATALOG, short, VOCABULARIES, Vocabulary([]), Vocabulary([]), at_ms=NOW)
