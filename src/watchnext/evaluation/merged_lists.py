"""What retrieval would list: the product's own sources, scores and order, with exact search in Milvus's place.

Filters are what a query has seen. Nothing waits and nothing is late, so no rung is ever missing.
"""

from collections.abc import Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray

from watchnext.contracts.names import Source
from watchnext.evaluation.tower_lists import nearest
from watchnext.features.batches import UserColumns, known_rows
from watchnext.features.videos import VideoTable
from watchnext.recommend.merge import merge
from watchnext.recommend.sources import OTHERS, SourceTables, topped_up

Rows = NDArray[np.int32]


def merged_lists(
    tables: SourceTables,
    users: UserColumns,
    asked: NDArray[np.float32],
    seen: Sequence[Rows],
    *,
    now_ms: int,
    candidates: int,
    depth: int,
) -> Rows:
    """The `depth` first of each query's candidates in retrieval order, `[queries, depth]`, then 0.

    Args:
        tables: of the generation, with counters and vectors as of `now_ms`.
        users: who asks.
        asked: the towers' vectors of them, `[queries, dim]`.
        seen: rows that no list may hold.
        now_ms: when they ask.
        candidates: wanted of retrieval (`serving.candidates`).
        depth: of the lists.
    """
    tower = nearest(asked, tables.vectors, seen, candidates).astype(np.int32)
    bags = known_rows(users)
    lists = np.zeros((len(users), depth), np.int32)
    for query, known in enumerate(seen):
        allowed = np.ones(len(tables.vectors), bool)
        allowed[0] = allowed[known] = False
        affinity = tables.affinity(asked[query], bags[query])
        others = _others(tables, affinity.met, np.trim_zeros(users.history[query], "b"), now_ms, allowed)
        fill = partial(tables.popular_in, "", allowed, candidates)
        found = merge(tower[query][tower[query] > 0], others, fill, count=candidates, affinity=affinity).rows[:depth]
        lists[query, : len(found)] = found
    return lists


def _others(
    tables: SourceTables, met: NDArray[np.float32], watched: Rows, now_ms: int, allowed: NDArray[np.bool_]
) -> dict[Source, Rows]:
    """As `Retriever` asks for them."""
    others = tables.others(met, most_watched(watched, tables.videos), now_ms, allowed)
    if len(watched) and len(others[Source.SIMILAR]) < OTHERS:
        near = tables.neighbours(int(watched[-1]))
        others[Source.SIMILAR] = topped_up(others[Source.SIMILAR], near, allowed, OTHERS)
    return others


def most_watched(watched: Rows, videos: VideoTable) -> list[int]:
    """Channels of these watches, old to new: by watches, then by the last one."""
    channels = videos.channel[watched][::-1]
    names, last, counts = np.unique(channels, return_index=True, return_counts=True)
    order = np.lexsort((names, last, -counts))
    return [int(channel) for channel in names[order] if channel > 0]
