import numpy as np
import pytest

from watchnext.clock import HOUR_MS
from watchnext.data.splits import split_at_share
from watchnext.errors import DataError


def test_the_future_tests_and_the_cut_is_a_whole_hour():
    times = np.arange(100) * HOUR_MS // 2 + 7
    split = split_at_share(times, test_share=0.2)

    assert split.cut_ms == 40 * HOUR_MS
    assert (split.train(times).sum(), split.test(times).sum()) == (80, 20)
    assert times[split.train(times)].max() < times[split.test(times)].min()


def test_order_and_a_few_rows_more_do_not_move_the_cut():
    times = np.arange(1_000) * 60_000
    more = np.append(times, [1, 2, 3])

    assert split_at_share(more[::-1], 0.1) == split_at_share(times, 0.1)


def test_one_moment_is_never_on_both_sides():
    times = np.array([0, 0, HOUR_MS, HOUR_MS, HOUR_MS, HOUR_MS])
    split = split_at_share(times, 0.3)

    assert split.test(times).tolist() == [False, False, True, True, True, True]


@pytest.mark.parametrize(
    ("times", "share", "message"),
    [
        ([], 0.1, "no times"),
        ([5, 6, 7], 0.1, "replay a longer stretch"),
        ([0, HOUR_MS], 1.0, "test share of 1.0"),
    ],
)
def test_a_split_without_two_sides_is_an_error(times, share, message):
    with pytest.raises(DataError, match=message):
        split_at_share(np.array(times, dtype=np.int64), share)
