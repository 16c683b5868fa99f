"""Click attribution against a table filled in by hand."""

import pandas as pd
import pytest

from watchnext.contracts.names import DERIVED_SURFACE
from watchnext.data.labels import label_impressions

MINUTE = 60_000
WINDOW = 30 * MINUTE
WATERMARK = 200 * MINUTE

# request, user, video, shown at (minutes) -> clicked, seconds, completed, closed
IMPRESSIONS = [
    ("r1", "ann", "a", 0, True, 40.0, True, True),  # by request id, long after the window
    ("r1", "ann", "b", 0, False, 0.0, False, True),  # never watched
    ("r2", "ann", "c", 10, False, 0.0, False, True),  # watched without a request, but c was shown again before
    ("r3", "ann", "c", 20, True, 15.0, False, True),  # the latest earlier impression of c; 5 s and 10 s
    ("r4", "bob", "c", 20, False, 0.0, False, True),  # ann watched it, not bob
    ("r5", "bob", "d", 30, False, 0.0, False, True),  # watched 31 minutes later, without a request
    ("r6", "bob", "e", 40, True, 7.0, False, True),  # at the same moment, and at the end of the window
    ("r7", "bob", "f", 50, False, 0.0, False, True),  # watched before it was shown
    ("r8", "cid", "g", 60, True, 3.0, True, True),  # the watch names a request that nobody saw: by the window
    ("r9", "cid", "h", 70, False, 0.0, False, True),  # only a derived watch
    ("r10", "dan", "i", 80, False, 0.0, False, True),  # shown twice under one id: the watch came after the second
    ("r10", "dan", "i", 81, True, 9.0, False, True),
    ("r11", "dan", "j", 90, True, 8.0, False, True),  # the client's clock: the watch starts before its impression
    ("one", "fay", "m", 100, True, 12.0, True, True),  # fay and gus chose the same request id
    ("one", "gus", "m", 100, False, 0.0, False, True),  # fay watched it, not gus
    ("one", "gus", "n", 101, False, 0.0, False, True),  # the same
    ("r12", "eve", "k", 170, False, 0.0, False, True),  # the window ends at the watermark
    ("r13", "eve", "k", 171, True, 6.0, False, False),  # clicked, but too young
    ("r14", "eve", "l", 171, False, 0.0, False, False),
]  # fmt: skip

# request, user, video, started at (minutes), seconds, completed, surface
WATCHES = [
    ("r1", "ann", "a", 120, 40.0, True, "home"),
    (None, "ann", "c", 25, 5.0, False, "search"),
    (None, "ann", "c", 50, 10.0, False, "search"),
    (None, "bob", "d", 61, 50.0, True, "home"),
    (None, "bob", "e", 40, 3.0, False, "home"),
    (None, "bob", "e", 70, 4.0, False, "home"),
    (None, "bob", "f", 49, 20.0, True, "home"),
    ("lost", "cid", "g", 61, 3.0, True, "home"),
    (None, "cid", "h", 71, 18.0, True, DERIVED_SURFACE),
    ("r10", "dan", "i", 82, 9.0, False, "home"),
    ("r11", "dan", "j", 89, 8.0, False, "home"),
    ("one", "fay", "m", 110, 12.0, True, "home"),
    ("one", "fay", "n", 110, 14.0, True, "home"),
    ("r13", "eve", "k", 172, 6.0, False, "home"),
]


def tables(order: int = 1) -> tuple[pd.DataFrame, pd.DataFrame]:
    impressions = pd.DataFrame(
        [row[:4] for row in IMPRESSIONS], columns=["request_id", "user_id", "video_id", "shown_at"]
    )
    watches = pd.DataFrame(
        WATCHES,
        columns=["request_id", "user_id", "video_id", "started_at", "watch_seconds", "completed", "surface"],
    )
    impressions["shown_at"] *= MINUTE
    watches["started_at"] *= MINUTE
    return impressions[::order].reset_index(drop=True), watches[::order].reset_index(drop=True)


@pytest.mark.parametrize("order", [1, -1])
def test_labels_are_those_of_the_table_in_any_order(order):
    labels = label_impressions(*tables(order), WINDOW, WATERMARK)

    found = list(
        zip(
            labels.clicked.tolist(),
            labels.seconds.tolist(),
            labels.completed.tolist(),
            labels.closed.tolist(),
            strict=True,
        )
    )
    assert found == [row[4:] for row in IMPRESSIONS[::order]]


def test_each_watch_counts_once():
    impressions, watches = tables()
    labels = label_impressions(impressions, watches, WINDOW, WATERMARK)

    unattributed = 50.0 + 20.0 + 18.0 + 14.0  # d too late, f too early, h derived, n shown to another user only
    assert labels.seconds.sum() == watches["watch_seconds"].sum() - unattributed


def test_no_watches_means_no_clicks():
    impressions, watches = tables()
    labels = label_impressions(impressions, watches[:0], WINDOW, WATERMARK)

    assert not labels.clicked.any()
    assert labels.closed.sum() == 17


def test_no_impressions_means_no_labels():
    impressions, watches = tables()

    assert len(label_impressions(impressions[:0], watches, WINDOW, WATERMARK).clicked) == 0


def test_an_impression_begins_with_the_watch_that_a_clock_put_before_it():
    impressions, watches = tables()
    begun = label_impressions(impressions, watches, WINDOW, WATERMARK).begun_at

    expected = [89 if row[0] == "r11" else row[3] for row in IMPRESSIONS]
    assert (begun // MINUTE).tolist() == expected
