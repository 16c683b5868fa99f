"""Users as of a label: Feast's point-in-time join, then the same encoding as serving.

The join is inclusive, so callers ask for 1 ms before the label. Rows come a chunk at a time: a hundred thousand
histories of fifty do not lie in memory at once.
"""

from collections.abc import Iterator, Sequence
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from watchnext.contracts.names import Entity, FeatureService
from watchnext.features.state import EncodedUser, RequestContext, UserState, encode_user
from watchnext.features.vocabulary import Vocabularies, Vocabulary
from watchnext.settings import Settings
from watchnext.store.pit import point_in_time
from watchnext.store.schema import EVENT_TIMESTAMP

CHUNK: Final = 50_000  # users' rows in memory together; each may hold lists of hundreds
SEEN: Final = "seen_ids"
FEATURES: Final = tuple(UserState.names())
ENCODED: Final = tuple(name for name in FEATURES if name != SEEN)  # up to a thousand ids, that no model reads


def user_rows(
    settings: Settings, moments: pd.DataFrame, features: Sequence[str] = FEATURES
) -> Iterator[dict[str, Any]]:
    """The merged user rows as of each moment's `as_of_ms`, in the order of `moments`; None where there is no row."""
    for start in range(0, len(moments), CHUNK):
        chunk = moments.iloc[start : start + CHUNK]
        entities = _entities(Entity.USER, chunk["user_id"], chunk["as_of_ms"])
        joined = point_in_time(settings, FeatureService.USER, entities, features=features)
        yield from records(joined[list(features)])


def encoded_users(settings: Settings, moments: pd.DataFrame, vocabularies: Vocabularies) -> Iterator[EncodedUser]:
    """The user of each moment: columns user_id, as_of_ms, now_ms, surface, device, country, seed_video_id."""
    contexts = records(moments[["now_ms", "surface", "device", "country", "seed_video_id"]])
    for row, context in zip(user_rows(settings, moments, ENCODED), contexts, strict=True):
        yield encode_user(UserState.from_rows(row), RequestContext(**context), vocabularies)


def seen_videos(settings: Settings, moments: pd.DataFrame, videos: Vocabulary) -> Iterator[NDArray[np.int32]]:
    """Rows of all videos that the user of each moment had seen; columns user_id, as_of_ms."""
    for row in user_rows(settings, moments, [SEEN]):
        yield videos.indices(() if row[SEEN] is None else row[SEEN])


def records(table: pd.DataFrame) -> list[dict[str, Any]]:
    """One dict a line; a fifth of the time of `to_dict`, which looks into every cell."""
    names = [str(name) for name in table.columns]
    columns = (table[name].tolist() for name in table.columns)
    return [dict(zip(names, values, strict=True)) for values in zip(*columns, strict=True)]


def _entities(entity: Entity, ids: pd.Series, at_ms: pd.Series) -> pd.DataFrame:
    """What Feast wants to be asked: keys and instants."""
    instants = pd.to_datetime(at_ms.to_numpy(), unit="ms", utc=True).as_unit("us")
    return pd.DataFrame({entity.value: ids.to_numpy(), EVENT_TIMESTAMP: instants})
