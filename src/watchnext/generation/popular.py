"""Popular videos per country: what users get of whom nothing is known, or whose features cannot be read."""

from collections.abc import Mapping
from typing import Final

import numpy as np
from numpy.typing import NDArray

from watchnext.features.videos import VideoTable

POPULAR: Final = 1_000  # rows a list: MAX_K, with room for what filters take away
ALL_COUNTRIES: Final = ""


def popular_rows(
    videos: VideoTable, country_watches: Mapping[str, NDArray[np.float32]]
) -> dict[str, NDArray[np.int32]]:
    """Rows by falling watches: of every country under "", and of each country that has counts of its own.

    The filters of a request still apply: a list may hold videos that are restricted in the country.

    Args:
        videos: the table; its decayed watches make the list of all countries.
        country_watches: country to watches, `[videos]`; a video without a watch there is not in its list.
    """
    lists = {ALL_COUNTRIES: _by_falling(videos.watches, least=-1.0)}
    for country, watches in country_watches.items():
        lists[country] = _by_falling(watches, least=0.0)
    return lists


def static_ids(videos: VideoTable, popular: Mapping[str, NDArray[np.int32]]) -> list[str]:
    """The list of all countries as video ids, for answers that no filter sees: without what any country may not see."""
    rows = popular[ALL_COUNTRIES]
    free = rows[videos.unrestricted[rows]]
    return [videos.video_ids[row] for row in free]


def _by_falling(watches: NDArray[np.float32], *, least: float) -> NDArray[np.int32]:
    """Rows with more than `least` watches, but for the unknown one; ties go to the lower row."""
    order = np.argsort(-watches[1:], kind="stable")[:POPULAR] + 1
    return order[watches[order] > least].astype(np.int32)
