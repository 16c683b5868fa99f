import math
import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics.pairwise import cosine_similarity

from watchnext.evaluation import baselines
from watchnext.evaluation.baselines import ItemCosine, Popular, VideoMean, best_of_each, ranked_rows, top_rows


def test_popular_ignores_unknown_videos():
    popular = Popular.fit(np.array([0, 0, 2, 2, 1]), videos=3)
    assert popular.scores([np.array([1]), np.array([], int)]).tolist() == [[0, 1, 2, 0]] * 2


def test_item_cosine_holds_no_lists_of_pythons_numbers():
    """A hundred and fifty users with a thousand watches each took 5 GB."""
    generator = np.random.default_rng(0)
    users, rows = np.repeat(np.arange(20), 200), generator.integers(1, 1_000, 4_000)
    tracemalloc.start()
    try:
        pairs = ItemCosine.fit(users, rows, videos=1_000).similarity.nnz
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 40 * pairs  # a number and a column are 8 bytes, of three matrices at a time


@pytest.mark.parametrize("at_once", [1, 500, 20_000_000])
def test_item_cosine_equals_scikit_learn(monkeypatch: pytest.MonkeyPatch, at_once: int):
    monkeypatch.setattr(baselines, "PAIRS_AT_ONCE", at_once)
    generator = np.random.default_rng(0)
    users, rows = generator.integers(0, 30, 400), generator.integers(0, 13, 400)
    dense = np.zeros((30, 13))
    dense[users, rows] = 1
    dense[:, 0] = 0
    expected = cosine_similarity(dense.T)
    np.fill_diagonal(expected, 0)
    model = ItemCosine.fit(users, rows, videos=12)
    history = np.array([3, 5])
    assert model.scores([history, np.array([], int)])[0] == pytest.approx(expected[history].sum(0), abs=1e-6)
    assert not model.scores([np.array([], int)]).any()


def test_item_cosine_of_many_videos_keeps_the_best_of_each(monkeypatch: pytest.MonkeyPatch):
    """The pairs grew with the square of what a user watched: a user of 20,000 videos made 400 million."""
    monkeypatch.setattr(baselines, "PAIRS", 2 * 1_001)
    generator = np.random.default_rng(0)
    users, rows = np.repeat(np.arange(30), 50), generator.integers(1, 1_001, 1_500)
    model = ItemCosine.fit(users, rows, videos=1_000)
    dense = np.zeros((30, 1_001))
    dense[users, rows] = 1
    every = cosine_similarity(dense.T)
    np.fill_diagonal(every, 0)
    found = model.similarity.toarray()
    assert (np.count_nonzero(found, axis=1) <= 2).all()
    np.testing.assert_allclose(np.sort(found)[:, -2:], np.sort(every)[:, -2:], atol=1e-6)


def test_item_cosine_of_many_videos_reads_a_share_of_what_a_heavy_user_met(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(baselines, "MET", 50)
    everything = np.arange(1, 1_001)
    whole = ItemCosine.fit(np.zeros_like(everything), everything, videos=1_000)
    monkeypatch.setattr(baselines, "PAIRS", 500 * 1_001)
    drawn = ItemCosine.fit(np.zeros_like(everything), everything, videos=1_000)
    assert whole.similarity.nnz == 1_000 * 999
    assert 25 * 24 < drawn.similarity.nnz < 100 * 99


def test_item_cosine_reads_the_last_twenty_watches():
    model = ItemCosine.fit(np.array([0, 0, 1, 1]), np.array([1, 2, 3, 4]), videos=4)
    history = np.array([1, *[3] * 20])
    assert model.scores([history])[0, 2] == 0


def test_video_mean_is_drawn_to_the_overall_mean():
    shown, seconds = np.array([1] * 20 + [2] * 20), np.array([10.0] * 20 + [0.0] * 20)
    model = VideoMean.fit(shown, seconds, videos=3)
    assert model.expected_seconds(np.array([1, 2, 3, 0])).tolist() == [7.5, 2.5, 5.0, 5.0]


def test_top_rows_leaves_out_seen_and_unknown():
    scores = np.array([[9.0, 1.0, 3.0, 3.0]])
    assert top_rows(scores, [np.array([2])], 3).tolist() == [[3, 1, 0]]
    assert top_rows(scores, [np.array([], int)], 2).tolist() == [[2, 3]]


def test_top_rows_leaves_out_scores_that_are_not_finite():
    assert top_rows(np.array([[1.0, math.nan, 2.0, -math.inf, 1.0]]), [np.array([], int)], 4).tolist() == [[2, 4, 0, 0]]


def test_top_rows_are_as_deep_as_asked_in_a_smaller_catalogue():
    assert top_rows(np.array([[0.0, 1.0]]), [np.array([], int)], 3).tolist() == [[1, 0, 0]]
    assert top_rows(np.zeros((0, 5)), [], 3).shape == (0, 3)


@given(
    st.integers(1, 12).flatmap(
        lambda columns: st.lists(
            st.tuples(
                st.lists(st.sampled_from([0.0, 1.0, 2.0, -1.0, -math.inf]), min_size=columns, max_size=columns),
                st.lists(st.integers(0, columns - 1), max_size=4),
            ),
            min_size=1,
            max_size=6,
        )
    ),
    st.integers(1, 14),
    st.integers(1, 30),
)
def test_top_rows_are_those_of_a_sort_by_score_then_row(queries, depth, at_once):
    expected = [
        sorted(
            (row for row, score in enumerate(scores) if row and row not in seen and score != -math.inf),
            key=lambda row, scores=scores: (-scores[row], row),
        )[:depth]
        for scores, seen in queries
    ]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(baselines, "SCORES_AT_ONCE", at_once)
        ranked = top_rows(
            np.array([scores for scores, _ in queries], np.float32), [np.array(seen, int) for _, seen in queries], depth
        )
    assert ranked.tolist() == [rows + [0] * (depth - len(rows)) for rows in expected]


def test_lists_of_some_queries_at_a_time_are_those_of_all(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(baselines, "QUERIES_AT_ONCE", 2)
    scores = np.array([[9, 1, 2, 3], [9, 3, 2, 1], [9, 2, 3, 1]])
    seen = [np.array([], int), np.array([1]), np.array([], int)]
    asked = []

    def of_part(part: slice) -> np.ndarray:
        asked.append(len(scores[part]))
        return scores[part]

    assert ranked_rows(of_part, seen, 2).tolist() == [[3, 2], [2, 3], [2, 1]]
    assert asked == [2, 1]
    assert ranked_rows(of_part, [], 2).shape == (0, 2)


def test_the_best_of_each_owner_come_by_falling_value_and_ties_by_row():
    owner, row = np.array([7, 2, 7, 7, 2]), np.array([5, 1, 4, 3, 9])
    value = np.array([0.5, 0.1, 0.5, 0.9, 0.3], np.float32)
    assert best_of_each(owner, row, value, 2).tolist() == [4, 1, 3, 2]
    assert best_of_each(owner[:0], row[:0], value[:0], 2).tolist() == []
