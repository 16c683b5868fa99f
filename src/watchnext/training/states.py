"""Users as of a label: Feast's point-in-time join, then the encoding of serving, whole columns at a time.

The join is inclusive, so callers ask for 1 ms before the label. What becomes of a column is `features.state`'s to say,
for serving and for this; a test holds the users of both equal.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from watchnext.contracts.names import Entity, FeatureService
from watchnext.features.state import (
    ALIGNED,
    LISTS,
    EncodedUser,
    ListOf,
    RequestContext,
    UserState,
    check_aligned,
    encode_numbers,
)
from watchnext.features.vocabulary import Vocabularies, Vocabulary
from watchnext.settings import Settings
from watchnext.store.pit import point_in_time
from watchnext.store.schema import EVENT_TIMESTAMP

SEEN: Final = "seen_ids"
FEATURES: Final = tuple(UserState.names())
ENCODED: Final = tuple(name for name in FEATURES if name != SEEN)  # up to a thousand ids, that no model reads
CONTEXT: Final = ("now_ms", "surface", "device", "country", "seed_video_id")


def user_rows(settings: Settings, moments: pd.DataFrame, features: Sequence[str] = FEATURES) -> pa.Table:
    """The merged user rows as of each moment's `as_of_ms`, in the order of `moments`; null where there is no row.

    Rows with lists of hundreds take memory: callers ask for some ten thousand moments at a time.
    """
    keys = _keys(Entity.USER, moments["user_id"], moments["as_of_ms"])
    return point_in_time(settings, FeatureService.USER, keys, features=features).select(list(features))


def encoded_users(settings: Settings, moments: pd.DataFrame, vocabularies: Vocabularies) -> list[EncodedUser]:
    """The user of each moment: columns user_id, as_of_ms, now_ms, surface, device, country, seed_video_id."""
    contexts = [RequestContext(**context) for context in records(moments[list(CONTEXT)])]
    return encode_rows(user_rows(settings, moments, ENCODED), contexts, vocabularies)


def encode_rows(rows: pa.Table, contexts: Sequence[RequestContext], vocabularies: Vocabularies) -> list[EncodedUser]:
    """`encode_user` of each row of a table with the columns `ENCODED`; null is what no row has.

    Raises:
        ValueError: lists that belong together differ in length.
    """
    columns = {made.column: Lists.of(rows[made.column]) for made in LISTS.values()}
    for names in ALIGNED:
        lengths = np.stack([columns[name].lengths for name in names], axis=1)
        wrong = np.flatnonzero((lengths != lengths[:, :1]).any(axis=1))
        if len(wrong):
            check_aligned(names, lengths[wrong[0]].tolist())
    lists = [columns[made.column].encoded(made, vocabularies) for made in LISTS.values()]
    numbers = pa.table({name: pc.fill_null(rows[name], default) for name, default in UserState.numbers().items()})
    return [
        EncodedUser(
            **dict(zip(LISTS, of_user, strict=True)),
            **encode_numbers(UserState(**row), context, vocabularies),
        )
        for row, context, *of_user in zip(records(numbers.to_pandas()), contexts, *lists, strict=True)
    ]


def seen_videos(settings: Settings, moments: pd.DataFrame, videos: Vocabulary) -> list[NDArray[np.int32]]:
    """Rows of all videos that the user of each moment had seen; columns user_id, as_of_ms."""
    seen = Lists.of(user_rows(settings, moments, [SEEN])[SEEN])
    return np.split(_indices(seen.values, videos), seen.ends)[:-1]


def records(table: pd.DataFrame) -> list[dict[str, Any]]:
    """One dict a line; a fifth of the time of `to_dict`, which looks into every cell."""
    names = [str(name) for name in table.columns]
    columns = (table[name].tolist() for name in table.columns)
    return [dict(zip(names, values, strict=True)) for values in zip(*columns, strict=True)]


def _keys(entity: Entity, ids: pd.Series, at_ms: pd.Series) -> pd.DataFrame:
    """What Feast wants to be asked: keys and instants."""
    instants = pd.to_datetime(at_ms.to_numpy(), unit="ms", utc=True).as_unit("us")
    return pd.DataFrame({entity.value: ids.to_numpy(), EVENT_TIMESTAMP: instants})


@dataclass(frozen=True)
class Lists:
    """A column of lists, end to end."""

    values: pa.Array
    lengths: NDArray[np.int64]  # [rows]; 0 of a null

    @classmethod
    def of(cls, column: pa.ChunkedArray) -> "Lists":
        """A column's lists."""
        together = column.combine_chunks()
        return cls(together.flatten(), pc.fill_null(pc.list_value_length(together), 0).to_numpy().astype(np.int64))

    @property
    def ends(self) -> NDArray[np.int64]:
        """Where each list ends in `values`."""
        return np.cumsum(self.lengths)

    def encoded(self, made: ListOf, vocabularies: Vocabularies) -> list[NDArray[Any]]:
        """Each list as `made` says."""
        if made.vocabulary:
            values: NDArray[Any] = _indices(self.values, getattr(vocabularies, made.vocabulary))
        else:
            values = self.values.to_numpy().astype(made.kind)
        ends = self.ends
        kept = self.lengths if made.last is None else np.minimum(self.lengths, made.last)
        return [values[start:end] for start, end in zip((ends - kept).tolist(), ends.tolist(), strict=True)]


def _indices(tokens: pa.Array, vocabulary: Vocabulary) -> NDArray[np.int32]:
    """`Vocabulary.indices` of an Arrow array."""
    found = pc.index_in(tokens, value_set=pa.array(vocabulary.tokens, pa.string()))
    indices: NDArray[np.int32] = pc.fill_null(pc.add(found, 1), 0).to_numpy().astype(np.int32)
    return indices
