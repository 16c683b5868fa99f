"""Encoded users between stages: ragged columns in one file, users cut out of them on demand.

What only cross features read (exposures, aggregates) is left out: those features are computed when the examples are
made. What remains, the bags and the scalars, is a tenth of the size and all that both models read.

>>> from watchnext.features.state import RequestContext, UserState, encode_user
>>> from watchnext.features.vocabulary import Vocabularies, Vocabulary
>>> from dataclasses import fields
>>> none = Vocabularies(**{field.name: Vocabulary([]) for field in fields(Vocabularies)})
>>> user = encode_user(UserState(watch_video_ids=["v"], watch_seconds=[1.0], watch_fractions=[1.0], watch_times=[1]),
...                    RequestContext(now_ms=2), none)
>>> EncodedUsers.of([user])[0].history.tolist()
[0]
"""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from watchnext.features.state import EncodedUser

KEPT = ("history", "shown", "search_tokens", "query_tokens")


class EncodedUsers(Sequence[EncodedUser]):
    """Many encoded users in a few arrays."""

    def __init__(
        self, values: dict[str, NDArray[Any]], ends: dict[str, NDArray[np.int64]], empty: dict[str, NDArray[Any]]
    ) -> None:
        self._values = values  # bags end to end, and `scalars` [users, scalars]
        self._ends = ends  # end of each user's bag
        self._empty = empty  # an array of no length for every column that is left out

    @classmethod
    def of(cls, users: Iterable[EncodedUser]) -> "EncodedUsers":
        """Pack users.

        Raises:
            ValueError: there are none.
        """
        columns = [user.to_columns() for user in users]
        if not columns:
            raise ValueError("no users came; wanted at least one")
        values = {name: np.concatenate([column[name] for column in columns]) for name in KEPT}
        values["scalars"] = np.stack([column["scalars"] for column in columns])
        ends = {name: np.cumsum([len(column[name]) for column in columns], dtype=np.int64) for name in KEPT}
        empty = {name: array[:0] for name, array in columns[0].items() if name not in (*KEPT, "scalars")}
        return cls(values, ends, empty)

    @classmethod
    def concatenated(cls, parts: Sequence["EncodedUsers"]) -> "EncodedUsers":
        """All users of `parts`, in order."""
        values = {name: np.concatenate([part._values[name] for part in parts]) for name in (*KEPT, "scalars")}
        ends = {}
        for name in KEPT:
            starts = np.cumsum([0, *(len(part._values[name]) for part in parts[:-1])])
            ends[name] = np.concatenate([part._ends[name] + start for part, start in zip(parts, starts, strict=True)])
        return cls(values, ends, parts[0]._empty)

    def __len__(self) -> int:
        return len(self._values["scalars"])

    def __getitem__(self, at: Any) -> Any:
        """User `at`."""
        columns: dict[str, NDArray[Any]] = {**self._empty, "scalars": self._values["scalars"][at]}
        for name in KEPT:
            ends = self._ends[name]
            columns[name] = self._values[name][ends[at - 1] if at else 0 : ends[at]]
        return EncodedUser.from_columns(columns)

    def take(self, rows: NDArray[Any]) -> list[EncodedUser]:
        """Users `rows`, in that order."""
        return [self[at] for at in rows.tolist()]

    def save(self, path: Path) -> None:
        """As .npz."""
        arrays = {f"value.{name}": array for name, array in self._values.items()}
        arrays |= {f"ends.{name}": array for name, array in self._ends.items()}
        arrays |= {f"empty.{name}": array for name, array in self._empty.items()}
        with path.open("wb") as file:
            np.savez(file, allow_pickle=False, **arrays)

    @classmethod
    def load(cls, path: Path) -> "EncodedUsers":
        """What `save` wrote."""
        groups: dict[str, dict[str, NDArray[Any]]] = {"value": {}, "ends": {}, "empty": {}}
        with np.load(path, allow_pickle=False) as arrays:
            for key in arrays.files:
                group, _, name = key.partition(".")
                groups[group][name] = arrays[key]
        return cls(groups["value"], groups["ends"], groups["empty"])
