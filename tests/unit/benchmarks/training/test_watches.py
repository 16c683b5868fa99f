import numpy as np
import pytest

from benchmarks.training.watches import DEPTH, FIRST, HISTORY, WATCHES, Watches, recall

SMALL = Watches.of(1_000)


def test_a_history_is_what_the_user_watched_before_the_answer():
    history, row = SMALL.examples(step=3)
    lines = {tuple(line): user for user, line in enumerate(SMALL.rows[:, :FIRST].tolist())}
    for watched, answer in list(zip(history.tolist(), row.tolist(), strict=True))[:50]:
        count = int(np.count_nonzero(watched))
        assert FIRST <= count <= HISTORY
        if count < HISTORY:  # from the user's first watch on
            user = SMALL.rows[lines[tuple(watched[:FIRST])]].tolist()
            assert [*watched[:count], answer] == user[: count + 1]
            assert not any(watched[count:])


def test_the_last_watch_is_asked_for_and_never_trained_on():
    history, held_out = SMALL.questions()
    assert held_out.tolist() == SMALL.rows[: len(held_out), -1].tolist()
    assert history[0].tolist() == SMALL.rows[0, WATCHES - 1 - HISTORY : -1].tolist()
    assert len(SMALL.trained) == len(SMALL.rows) * (WATCHES - FIRST - 1)


def test_most_watches_lie_in_the_users_clusters():
    clusters = (SMALL.rows - 1) // 100
    kinds = [len(set(line)) for line in clusters[:200].tolist()]
    favourite = np.mean([max(np.bincount(line)) for line in clusters[:200]]) / WATCHES
    assert favourite > 0.25  # of 10 clusters
    assert np.mean(kinds) > 3  # and some beside


def test_recall_counts_the_held_out_among_the_best():
    scores = np.zeros((2, DEPTH + 10))
    scores[0, 4], scores[1, :DEPTH] = 1.0, 1.0
    assert recall(scores, np.array([5, DEPTH + 3], np.int32)) == pytest.approx(0.5)
