"""The merged list by hand: which source finds what, and in which order it comes."""

import dataclasses

import numpy as np
import pytest

from tests.unit.recommend.world import NOW, ROW, prepared
from watchnext.evaluation.merged_lists import merged_lists, most_watched
from watchnext.features.batches import UserColumns
from watchnext.features.state import RequestContext, UserState, encode_user
from watchnext.recommend import merge
from watchnext.recommend.sources import SourceTables

LIVE = prepared({"v4": {"v12": 0.5}})
V1 = np.array([[1, 0]], np.float32)


@pytest.fixture(autouse=True)
def weights(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(merge, "MET", 4.0)
    monkeypatch.setattr(merge, "POPULARITY", 0.15)


def who_watched(*videos: str) -> UserColumns:
    state = UserState(
        watch_video_ids=list(videos),
        watch_seconds=[1.0] * len(videos),
        watch_fractions=[1.0] * len(videos),
        watch_times=[NOW] * len(videos),
    )
    return UserColumns.of([encode_user(state, RequestContext(now_ms=NOW), LIVE.bundle.vocabularies)])


def lists(tables: SourceTables, users: UserColumns, seen: list[str], *, candidates: int, depth: int) -> list[str]:
    rows = np.array([ROW[name] for name in seen], np.int32)
    found = merged_lists(tables, users, V1, [rows], now_ms=NOW, candidates=candidates, depth=depth)
    return [tables.videos.video_ids[row] for row in found[0]]


def test_the_order_is_retrievals() -> None:
    # (1, 0) times the vectors, 0.15 log (1 + watches), and 4 times the root of a half for v12, which is (0, 0)
    found = lists(LIVE.tables, who_watched("v4"), ["v4"], candidates=20, depth=12)
    assert found == ["v12", "v1", "v2", "v9", "v3", "v7", "v8", "v10", "v5", "v11", "v6", ""]


def test_the_towers_list_is_cut_where_the_other_sources_have_filled_it(monkeypatch: pytest.MonkeyPatch) -> None:
    tables = dataclasses.replace(LIVE.tables, trending=LIVE.tables.trending[:1])
    monkeypatch.setattr("watchnext.recommend.sources.OTHERS", 1)
    monkeypatch.setattr("watchnext.evaluation.merged_lists.OTHERS", 1)
    # similar: v12; the channel dogs: v5; trending: v1; fresh: v7; then the towers' best: v1, v2
    found = lists(tables, who_watched("v4"), ["v4"], candidates=5, depth=6)
    assert found == ["v12", "v1", "v2", "v7", "v5", ""]


def test_channels_are_by_watches_then_by_the_last_one() -> None:
    rows = np.array([ROW[name] for name in ("v7", "v4", "v1", "v5", "v8", "v10")], np.int32)
    names = ["", "cats", "dogs", "news", "food"]
    assert [names[channel] for channel in most_watched(rows, LIVE.bundle.videos)] == ["news", "dogs", "food", "cats"]
