import numpy as np

from benchmarks.peers.lists import best_unseen, first_unseen


def rows(*lists: list[int]) -> list[np.ndarray]:
    return [np.array(videos, np.int32) for videos in lists]


def test_what_a_query_has_seen_leaves_its_list_and_the_rest_moves_up() -> None:
    ranked = np.array([[5, 3, 2, 0], [1, 2, 3, 4]], np.int32)
    lists = first_unseen(ranked, rows([3, 9], []))

    assert lists.shape == (2, 200)
    assert lists[:, :5].tolist() == [[5, 2, 0, 0, 0], [1, 2, 3, 4, 0]]


def test_a_list_longer_than_wanted_is_cut() -> None:
    ranked = np.arange(1, 251, dtype=np.int32)[None]

    assert first_unseen(ranked, rows([1, 2]))[0].tolist() == list(range(3, 203))


def test_scores_become_lists_of_unseen_videos_with_a_score() -> None:
    scores = np.array([[0.1, 0.9, 0.5, -np.inf], [0.4, 0.3, 0.2, 0.4]], np.float32)
    lists = best_unseen(scores, rows([2], []))

    assert lists[:, :4].tolist() == [[3, 1, 0, 0], [1, 4, 2, 3]]
