import dataclasses

import numpy as np
import pytest

from tests.unit.recommend.world import NOW, ROW, prepared
from watchnext.recommend.sources import SourceTables, topped_up

CATS, DOGS, NEWS, FOOD = 1, 2, 3, 4


@pytest.fixture
def tables() -> SourceTables:
    return prepared().tables


@pytest.fixture
def everything(tables: SourceTables) -> np.ndarray:
    return np.ones(len(tables.vectors), bool)


def names(tables: SourceTables, rows: np.ndarray) -> list[str]:
    return [tables.videos.video_ids[row] for row in rows]


def test_trending_is_by_decayed_watches(tables, everything):
    assert names(tables, tables.trend(everything, 4)) == ["v1", "v2", "v4", "v5"]


def test_equal_watches_go_to_the_lower_row(tables, everything):
    assert names(tables, tables.trend(everything, 12))[-2:] == ["v11", "v12"]


def test_fresh_is_newest_first_within_two_weeks_and_never_from_the_future(tables, everything):
    assert names(tables, tables.fresh(NOW, everything, 10)) == ["v7", "v6", "v5", "v3"]


def test_channels_take_turns(tables, everything):
    assert names(tables, tables.channels([NEWS, CATS], everything, 4)) == ["v7", "v1", "v8", "v2"]


def test_an_unknown_channel_gives_nothing(tables, everything):
    assert tables.channels([0, 99], everything, 4).tolist() == []


def test_similar_is_by_cosine_not_by_length(tables):
    # v7 to v10 point the same way; v9 is the longest of them and v10 the shortest
    assert set(names(tables, tables.neighbours(ROW["v7"]))[:3]) == {"v8", "v9", "v10"}
    assert ROW["v7"] not in tables.neighbours(ROW["v7"])
    assert 0 not in tables.neighbours(ROW["v7"])


MET = {"v1": {"v8": 0.5, "v4": 0.25}, "v2": {"v4": 0.5, "v12": 0.125}}


def test_similar_is_what_the_users_of_the_whole_bag_met(everything):
    tables = prepared(MET).tables
    met = tables.met_with(np.array([ROW["v1"], ROW["v2"], ROW["v5"], 0, 0]))
    # v4: (0.25 + 0.5) / 3, v8: 0.5 / 3, v12: 0.125 / 3; row 0 is no video, and v5 has no neighbours
    assert met[[ROW["v4"], ROW["v8"], ROW["v12"]]].tolist() == pytest.approx([0.25, 1 / 6, 1 / 24])
    assert np.count_nonzero(met) == 3
    assert names(tables, tables.similar(met, everything, 5)) == ["v4", "v8", "v12"]
    everything[ROW["v4"]] = False
    assert names(tables, tables.similar(met, everything, 1)) == ["v8"]


def test_similarities_are_told_in_the_tables_scale():
    tables = prepared({"v1": {"v8": 0.5}}).tables
    scaled = dataclasses.replace(tables, item_item=dataclasses.replace(tables.item_item, scale=0.25))
    assert scaled.met_with(np.array([ROW["v1"]]))[ROW["v8"]] == 2


def test_nobody_met_anything_of_an_empty_bag(tables, everything):
    met = tables.met_with(np.zeros(3, np.int32))
    assert not met.any()
    assert tables.similar(met, everything, 5).tolist() == []


def test_popularity_is_the_log_of_decayed_watches(tables):
    assert tables.popularity[[0, ROW["v1"], ROW["v12"]]].tolist() == pytest.approx([0, np.log(91), 0])


def test_topping_up_adds_allowed_rows_once(everything):
    everything[3] = False
    rows = np.array([5, 2], np.int32)
    assert topped_up(rows, np.array([2, 3, 5, 1, 4]), everything, 4).tolist() == [5, 2, 1, 4]
    assert topped_up(rows, np.array([1]), everything, 1).tolist() == [5]


def test_popular_of_a_country_then_of_all_then_what_trends(tables, everything):
    assert names(tables, tables.popular_in("fr", everything, 6)) == ["v5", "v9", "v1", "v2", "v4", "v7"]
    assert names(tables, tables.popular_in("nowhere", everything, 5)) == ["v1", "v2", "v4", "v9", "v5"]


def test_sources_pass_over_what_is_not_allowed(tables, everything):
    everything[[ROW["v1"], ROW["v7"]]] = False
    assert names(tables, tables.trend(everything, 2)) == ["v2", "v4"]
    assert names(tables, tables.fresh(NOW, everything, 1)) == ["v6"]
    assert names(tables, tables.channels([NEWS], everything, 1)) == ["v8"]


def test_nearest_watched(tables):
    rows = np.array([ROW["v2"], ROW["v5"]], np.int32)
    assert tables.nearest(rows, np.array([ROW["v1"], ROW["v4"]], np.int32)) == ["v1", "v4"]
    assert tables.nearest(rows, np.zeros(0, np.int32)) == ["", ""]
