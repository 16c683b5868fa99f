import numpy as np
import pytest

from watchnext.training.warm_start import co_occurrence_vectors

IDS, WIDTH = 14, 2
EVERYBODYS = 13


def meetings() -> tuple[np.ndarray, np.ndarray]:
    """Three circles of users, each with four videos of its own, of which a user met three, and one that all met.

    Nobody met id 12.
    """
    pairs = [
        (40 * circle + user, 1 + 4 * circle + (user + at) % 4)
        for circle in range(3)
        for user in range(20)
        for at in range(3)
        if 1 + 4 * circle + (user + at) % 4 != 12
    ]
    person, video = np.array(pairs + [(person, EVERYBODYS) for person, _ in pairs]).T
    return person, video


def test_videos_that_the_same_users_met_point_the_same_way():
    vectors = co_occurrence_vectors(*meetings(), ids=IDS, width=WIDTH)
    cosine = vectors @ vectors.T
    circle = (np.arange(IDS) - 1) // 4
    same = (circle[:, None] == circle[None, :])[1:12, 1:12]
    assert cosine[1:12, 1:12][same].min() > cosine[1:12, 1:12][~same].max() + 0.5


def test_vectors_have_length_one_and_what_nobody_met_has_none():
    vectors = co_occurrence_vectors(*meetings(), ids=IDS, width=WIDTH)
    assert np.linalg.norm(vectors, axis=1) == pytest.approx([0.0, *[1.0] * 11, 0.0, 1.0], abs=1e-6)


def test_the_directions_are_those_of_a_dense_decomposition_and_repeats_count_once():
    person, video = meetings()
    met = np.zeros((101, IDS))
    met[person, video] = 1
    lines, columns = met.sum(1, keepdims=True).clip(1), met.sum(0, keepdims=True).clip(1)
    _, values, right = np.linalg.svd(met / np.sqrt(lines) / np.sqrt(columns))
    wanted = right[1 : 1 + WIDTH].T * np.sqrt(values[1 : 1 + WIDTH])
    wanted = wanted[1:12] / np.linalg.norm(wanted[1:12], axis=1, keepdims=True)
    twice = co_occurrence_vectors(np.tile(person, 2), np.tile(video, 2), ids=IDS, width=WIDTH)[1:12]
    # a direction is known up to its sign and its place among equal ones: inner products are the same
    assert twice @ twice.T == pytest.approx(wanted @ wanted.T, abs=1e-5)


@pytest.mark.parametrize("width", [64, 13])
def test_too_few_users_or_videos_leave_all_zeros(width: int):
    assert not co_occurrence_vectors(*meetings(), ids=IDS, width=width).any()


def test_the_unknown_video_is_nobodys():
    assert not co_occurrence_vectors(np.zeros(3, int), np.zeros(3, int), ids=IDS, width=WIDTH).any()
