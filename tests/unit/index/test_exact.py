import numpy as np

from watchnext.index.exact import exact_top_k, recall

VECTORS = np.array([[9, 9], [1, 0], [0, 1], [1, 1], [1, 0]], np.float32)


def test_best_rows_first_and_ties_to_the_lower_row():
    rows, scores = exact_top_k(VECTORS, np.array([[2, 1], [0, 5]], np.float32), 3)
    assert rows.tolist() == [[3, 1, 4], [2, 3, 1]]
    assert scores.tolist() == [[3.0, 2.0, 2.0], [5.0, 5.0, 0.0]]


def test_the_unknown_video_is_never_returned_and_short_answers_are_padded():
    rows, scores = exact_top_k(VECTORS, np.array([[1, 1]], np.float32), 6)
    assert rows.tolist() == [[3, 1, 2, 4, 0, 0]]
    assert scores[0, 4:].tolist() == [-np.inf, -np.inf]


def test_many_queries_are_answered_as_single_ones():
    queries = np.arange(1_200, dtype=np.float32).reshape(600, 2) % 7
    rows, _ = exact_top_k(VECTORS, queries, 2)
    for query, row in zip(queries, rows, strict=True):
        assert exact_top_k(VECTORS, query[None], 2)[0].tolist() == [row.tolist()]


def test_recall_is_the_mean_share_found():
    expected = np.array([[1, 2], [3, 4]], np.int32)
    assert recall(np.array([[2, 1], [3, 9]], np.int32), expected) == 0.75
    assert recall(np.array([[5, 0]], np.int32), np.array([[5, 0]], np.int32)) == 1.0
