import numpy as np
import pytest

from watchnext.generation.item_item import ItemItem

# video 1: 2 and 3; video 2: 1; video 3: 1; row 0 and video 4: nothing
TABLE = ItemItem(
    np.array([0, 0, 2, 3, 4, 4]),
    np.array([2, 3, 1, 1], np.int32),
    np.array([0.5, 0.25, 0.5, 0.25], np.float32),
)


def test_similarities_to_a_bag_add_up():
    assert TABLE.sums(np.array([1]), videos=5).tolist() == [0, 0, 0.5, 0.25, 0]
    assert TABLE.sums(np.array([2, 3, 4]), videos=5).tolist() == [0, 0.75, 0, 0, 0]


def test_a_video_that_is_twice_in_the_bag_counts_twice():
    assert TABLE.sums(np.array([1, 1]), videos=5).tolist() == [0, 0, 1, 0.5, 0]


def test_an_empty_bag_and_videos_of_an_overlay_have_no_neighbours():
    assert TABLE.sums(np.zeros(0, np.int32), videos=6).tolist() == [0] * 6
    assert TABLE.sums(np.array([0, 5]), videos=6).tolist() == [0] * 6


@pytest.mark.parametrize("starts", [[], [0], [1, 4], [0, 3, 2, 4], [0, 3]])
def test_arrays_that_make_no_table_are_refused(starts: list[int]):
    with pytest.raises(ValueError, match="wanted starts that rise from 0"):
        ItemItem(np.array(starts, np.int64), TABLE.rows, TABLE.similarity)
