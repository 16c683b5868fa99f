"""Feature rows in memory: the rows last folded, read from the online store in one go where they are missing.

Rows of partitions that another worker may have advanced must not be used: `clear` after every rebalance or failure.
"""

from collections import OrderedDict
from collections.abc import Iterable, Mapping
from typing import Final, Protocol

from watchnext.contracts.names import View
from watchnext.contracts.rows import FeatureRow

CACHED_ROWS: Final = 20_000  # some 30 kB each for the most active users


class RowReader(Protocol):
    """What a cache reads from: `store.rows.FeatureStoreRows`, or nothing at all in a batch fold."""

    def read_rows(self, view: View, entity_ids: Iterable[str]) -> Mapping[str, FeatureRow]:
        """The rows that are stored."""
        ...


class RowCache:
    """The least recently used rows are dropped first; the online store has them."""

    def __init__(self, store: RowReader, capacity: int = CACHED_ROWS) -> None:
        self._store = store
        self._capacity = capacity
        self._rows: OrderedDict[tuple[View, str], FeatureRow] = OrderedDict()

    def load(self, view: View, entity_ids: Iterable[str]) -> dict[str, FeatureRow]:
        """The rows of the ids that have one."""
        found: dict[str, FeatureRow] = {}
        missing: list[str] = []
        for entity_id in dict.fromkeys(entity_ids):
            row = self._rows.get((view, entity_id))
            if row is None:
                missing.append(entity_id)
            else:
                found[entity_id] = row
        if missing:
            found.update(self._store.read_rows(view, missing))
        return found

    def keep(self, rows: Iterable[FeatureRow]) -> None:
        """Remember rows just folded; of one key the last."""
        for row in rows:
            key = (row.VIEW, row.entity_id)
            self._rows[key] = row
            self._rows.move_to_end(key)
        while len(self._rows) > self._capacity:
            self._rows.popitem(last=False)

    def clear(self) -> None:
        """Forget all."""
        self._rows.clear()
