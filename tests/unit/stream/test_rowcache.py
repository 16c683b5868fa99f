from collections.abc import Iterable

from watchnext.contracts.names import View
from watchnext.contracts.rows import FeatureRow, UserSearches
from watchnext.stream.rowcache import RowCache

VIEW = View.USER_SEARCHES


class Shelf:
    """Rows in a dict, and what was asked for."""

    def __init__(self, *rows: FeatureRow) -> None:
        self.rows = {row.entity_id: row for row in rows}
        self.asked: list[list[str]] = []

    def read_rows(self, view: View, entity_ids: Iterable[str]) -> dict[str, FeatureRow]:
        ids = list(entity_ids)
        self.asked.append(ids)
        return {one: self.rows[one] for one in ids if one in self.rows}


def row(entity_id: str, offset: int) -> UserSearches:
    return UserSearches(entity_id=entity_id, offset=offset)


def test_only_what_is_not_in_memory_is_read_and_at_once() -> None:
    shelf = Shelf(row("a", 1), row("b", 1))
    cache = RowCache(shelf)
    cache.keep([row("a", 7)])
    assert cache.load(VIEW, ["a", "b", "c", "b"]) == {"a": row("a", 7), "b": row("b", 1)}
    assert shelf.asked == [["b", "c"]]


def test_the_last_row_of_a_key_is_kept() -> None:
    cache = RowCache(Shelf())
    cache.keep([row("a", 1), row("a", 2)])
    assert cache.load(VIEW, ["a"]) == {"a": row("a", 2)}


def test_the_least_recently_kept_are_dropped() -> None:
    shelf = Shelf()
    cache = RowCache(shelf, capacity=2)
    cache.keep([row("a", 1), row("b", 1)])
    cache.keep([row("a", 2), row("c", 1)])
    cache.load(VIEW, ["a", "b", "c"])
    assert shelf.asked == [["b"]]


def test_cleared_rows_are_read_again() -> None:
    shelf = Shelf(row("a", 9))
    cache = RowCache(shelf)
    cache.keep([row("a", 1)])
    cache.clear()
    assert cache.load(VIEW, ["a"]) == {"a": row("a", 9)}
