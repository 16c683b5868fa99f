import numpy as np

from watchnext.contracts.names import Source
from watchnext.recommend.merge import merge

VECTORS = np.array([[0, 0], [1, 0], [2, 0], [3, 0], [0, 5], [3, 9]], np.float32)
USER = np.array([1, 0], np.float32)


def rows(*values: int) -> np.ndarray:
    return np.array(values, np.int32)


def test_one_candidate_carries_all_its_sources():
    merged = merge(
        rows(3, 2), {Source.TRENDING: rows(2), Source.FRESH: rows(2, 4)}, rows, count=9, user=USER, vectors=VECTORS
    )
    assert merged.rows.tolist() == [3, 2, 4]
    assert merged.sources.tolist() == [Source.TOWER, Source.TOWER | Source.TRENDING | Source.FRESH, Source.FRESH]
    assert merged.scores.tolist() == [3.0, 2.0, 0.0]


def test_other_sources_keep_their_places_when_the_tower_has_plenty():
    merged = merge(rows(3, 2, 1), {Source.FRESH: rows(4)}, rows, count=2, user=USER, vectors=VECTORS)
    assert merged.rows.tolist() == [3, 4]


def test_popular_fills_only_what_is_missing():
    full = merge(rows(3, 2), {}, lambda: rows(1), count=2, user=USER, vectors=VECTORS)
    assert full.rows.tolist() == [3, 2]
    assert full.sources.tolist() == [Source.TOWER, Source.TOWER]
    short = merge(rows(3), {}, lambda: rows(3, 1, 4), count=2, user=USER, vectors=VECTORS)
    assert short.rows.tolist() == [3, 1]
    assert short.sources.tolist() == [Source.TOWER, Source.POPULAR]


def test_equal_scores_go_to_the_lower_row():
    merged = merge(rows(5, 3), {}, rows, count=2, user=USER, vectors=VECTORS)
    assert merged.rows.tolist() == [3, 5]


def test_nothing_proposed():
    merged = merge(rows(), {}, rows, count=5, user=USER, vectors=VECTORS)
    assert merged.rows.tolist() == []
    assert merged.scores.dtype == np.float32
