"""What may not be shown to a user: one mask over the generation's rows, and the words for `why_not`.

Seen videos, videos that are restricted in the user's country, and the video that is being watched. Milvus is asked for
more than is needed instead of being sent a long `not in`, which is slow there.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from watchnext.contracts.api import RecommendRequest
from watchnext.features.state import UserState
from watchnext.generation.bundle import Bundle
from watchnext.recommend.merge import Merged


@dataclass(frozen=True, slots=True)
class Filter:
    """The rules of one request."""

    bundle: Bundle
    country: str  # the request's, else the profile's; empty: neither tells, or the profile cannot be read
    allowed: NDArray[np.bool_]  # [V]
    seen: NDArray[np.int32]
    seed: int  # row of the video that is being watched; 0: none

    @classmethod
    def of(cls, bundle: Bundle, state: UserState, request: RecommendRequest) -> "Filter":
        """The rules for a user's state and a request."""
        country = request.country or state.country
        seen = rows_of(state.seen_ids, bundle)
        seed = bundle.vocabularies.videos.index(request.seed_video_id)
        if country:
            allowed = bundle.videos.allowed_in(bundle.vocabularies.countries.index(country))
        else:  # it may be any
            allowed = bundle.videos.unrestricted.copy()
        allowed[seen] = False
        allowed[[0, seed]] = False
        return cls(bundle, country, allowed, seen, seed)

    @property
    def removed(self) -> int:
        """How many videos may not be shown, without the unknown one."""
        return len(self.allowed) - 1 - int(self.allowed.sum())

    def why_not(self, video_ids: Sequence[str], merged: Merged) -> dict[str, str]:
        """The stage at which each video dropped out; "" for candidates, of which the ranking tells."""
        candidates = set(merged.rows.tolist())
        return {video_id: self._stage(video_id, candidates, merged) for video_id in video_ids}

    def _stage(self, video_id: str, candidates: set[int], merged: Merged) -> str:
        row = self.bundle.vocabularies.videos.index(video_id)
        if row == 0:
            return (
                f"unknown: generation {self.bundle.id}.{self.bundle.overlay} has no such video; "
                "`watchnext pipeline run refresh_index` adds new ones"
            )
        if row in candidates:
            return ""
        if row == self.seed:
            return "it is the video that is being watched"
        if row in self.seen:
            return "seen: the user has watched it"
        if not self.allowed[row]:
            return f"restricted in {self.country or 'a country, and which one the user is in is not known'}"
        return f"not retrieved: no source proposed it among the {len(candidates)} candidates"


def rows_of(video_ids: Iterable[str], bundle: Bundle) -> NDArray[np.int32]:
    """Rows of the ids that the generation knows, in their order."""
    rows = bundle.vocabularies.videos.indices(video_ids)
    return rows[rows > 0]
