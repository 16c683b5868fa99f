import numpy as np
import pytest

from watchnext.contracts.names import Source
from watchnext.recommend import merge as weights
from watchnext.recommend.merge import Affinity, merge

VECTORS = np.array([[0, 0], [1, 0], [2, 0], [3, 0], [0, 5], [3, 9]], np.float32)
USER = np.array([1, 0], np.float32)
NONE = np.zeros(6, np.float32)
TOWERS = Affinity(USER, VECTORS, met=NONE, popularity=NONE)


def rows(*values: int) -> np.ndarray:
    return np.array(values, np.int32)


def test_one_candidate_carries_all_its_sources():
    merged = merge(rows(3, 2), {Source.TRENDING: rows(2), Source.FRESH: rows(2, 4)}, rows, count=9, affinity=TOWERS)
    assert merged.rows.tolist() == [3, 2, 4]
    assert merged.sources.tolist() == [Source.TOWER, Source.TOWER | Source.TRENDING | Source.FRESH, Source.FRESH]
    assert merged.scores.tolist() == [3.0, 2.0, 0.0]


def test_other_sources_keep_their_places_when_the_tower_has_plenty():
    merged = merge(rows(3, 2, 1), {Source.FRESH: rows(4)}, rows, count=2, affinity=TOWERS)
    assert merged.rows.tolist() == [3, 4]


def test_popular_fills_only_what_is_missing():
    full = merge(rows(3, 2), {}, lambda: rows(1), count=2, affinity=TOWERS)
    assert full.rows.tolist() == [3, 2]
    assert full.sources.tolist() == [Source.TOWER, Source.TOWER]
    short = merge(rows(3), {}, lambda: rows(3, 1, 4), count=2, affinity=TOWERS)
    assert short.rows.tolist() == [3, 1]
    assert short.sources.tolist() == [Source.TOWER, Source.POPULAR]


def test_equal_scores_go_to_the_lower_row():
    merged = merge(rows(5, 3), {}, rows, count=2, affinity=TOWERS)
    assert merged.rows.tolist() == [3, 5]


def test_nothing_proposed():
    merged = merge(rows(), {}, rows, count=5, affinity=TOWERS)
    assert merged.rows.tolist() == []
    assert merged.scores.dtype == np.float32


def test_co_occurrence_and_popularity_add_to_the_towers_score(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(weights, "MET", 2.0)
    monkeypatch.setattr(weights, "POPULARITY", 0.5)
    met = np.array([0, 0.25, 0, 0, 0.81, 0], np.float32)
    popularity = np.array([0, 1, 0, 4, 2, 0], np.float32)
    affinity = Affinity(USER, VECTORS, met=met, popularity=popularity)
    # 1: 1 + 2 * 0.5 + 0.5; 2: 2; 3: 3 + 2; 4: 0 + 2 * 0.9 + 1
    merged = merge(rows(1, 2, 3, 4), {}, rows, count=9, affinity=affinity)
    assert merged.rows.tolist() == [3, 4, 1, 2]
    np.testing.assert_allclose(merged.scores, [5.0, 2.8, 2.5, 2.0])


def test_a_candidates_score_does_not_depend_on_the_others():
    affinity = Affinity(USER, VECTORS, met=np.linspace(0, 1, 6, dtype=np.float32), popularity=NONE)
    alone = merge(rows(4), {}, rows, count=9, affinity=affinity)
    among = merge(rows(1, 2, 3, 4, 5), {}, rows, count=9, affinity=affinity)
    assert alone.scores.tolist() == among.scores[among.rows == 4].tolist()
