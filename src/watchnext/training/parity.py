"""Skew check with data: features that the ranker logged, against features recomputed from the offline log.

Every served list is encoded as training would encode it: the user's rows joined as of 1 ms before `served_at`, video
counters as of the time at which those of the generation and overlay that answered stand. The result is compared with
the logged vectors to the last bit. What a video is (length, upload, channel, topics) is the generation's, for both.

>>> check_parity(settings, requests=1_000).mismatches                            # doctest: +SKIP
[]
"""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from watchnext.contracts.names import Topic
from watchnext.errors import DataError
from watchnext.features.spec import RANKER_FEATURES
from watchnext.generation.bundle import Bundle
from watchnext.generation.store import GenerationStore
from watchnext.settings import Settings
from watchnext.stream.archive import archive_schema
from watchnext.training import log
from watchnext.training.counters import Deltas
from watchnext.training.labels import score_and_sources
from watchnext.training.moments import Impressions
from watchnext.training.states import encoded_users

SHOWN_MISMATCHES: Final = 20


@dataclass(frozen=True)
class Mismatch:
    """A feature that differs."""

    request_id: str
    video_id: str
    feature: str
    logged: float
    recomputed: float


@dataclass(frozen=True)
class Parity:
    """What was compared and what differed."""

    requests: int
    vectors: int
    mismatched_requests: int
    mismatched_vectors: int
    mismatches: list[Mismatch] = field(default_factory=list)  # the first ones


def check_parity(settings: Settings, *, requests: int, since_ms: int = 0) -> Parity:
    """Compare the last `requests` ranked lists of the archive that were served at or after `since_ms`.

    Raises:
        GenerationError: a generation that answered is no longer in the store.
        DataError: a logged vector has another length than this code's features.
    """
    served = log.served_of(settings.archive_path)
    ranked = served["items"].map(lambda items: any(item["features"] for item in items))
    lists = served[ranked & (served["served_at"] >= since_ms)].tail(requests).reset_index(drop=True)
    store = GenerationStore.open(settings)
    moments = lists.assign(
        as_of_ms=lists["served_at"] - 1,
        now_ms=lists["served_at"],
        seed_video_id=lists["seed_video_id"].fillna(""),
    )
    vectors, wrong_requests, wrong_vectors = 0, 0, 0
    shown: list[Mismatch] = []
    for (generation, overlay), part in moments.groupby(["generation", "overlay"], sort=False):
        bundle = store.load(str(generation), int(str(overlay)))
        users = encoded_users(settings, part, bundle.vocabularies)
        logged = [[item for item in items if item["features"]] for items in part["items"]]
        ends = np.cumsum([len(scored) for scored in logged])[:-1]
        recomputed = np.split(_impressions(settings, bundle, logged).features(users, bundle.videos), ends)
        for request_id, scored, of_list in zip(part["request_id"], logged, recomputed, strict=True):
            found = _mismatches(str(request_id), scored, of_list)
            vectors += len(scored)
            wrong_requests += bool(found)
            wrong_vectors += len({mismatch.video_id for mismatch in found})
            shown.extend(found[: SHOWN_MISMATCHES - len(shown)])
    return Parity(len(lists), vectors, wrong_requests, wrong_vectors, shown)


def _impressions(settings: Settings, bundle: Bundle, lists: Sequence[Sequence[Mapping[str, Any]]]) -> Impressions:
    """The lines of served lists as training would read them, list i being moment i."""
    items = [item for scored in lists for item in scored]
    ids, at_ms = [item["video_id"] for item in items], bundle.videos.counters_at_ms
    lines = archive_schema(Topic.SERVED).field("items").type.value_type
    scores, sources = score_and_sources(pa.array(items, lines))
    return Impressions(
        moment=np.repeat(np.arange(len(lists)), [len(scored) for scored in lists]),
        row=bundle.vocabularies.videos.indices(ids),
        score=scores,
        sources=sources,
        counters=Deltas.read(settings, at_ms).at(ids, at_ms),
    )


def _mismatches(request_id: str, items: Sequence[dict[str, Any]], recomputed: NDArray[np.float32]) -> list[Mismatch]:
    """Every feature of a list that is not the logged one, bit for bit."""
    found = []
    for item, vector in zip(items, recomputed, strict=True):
        logged = np.frombuffer(base64.b64decode(item["features"]), "<f4")
        if len(logged) != len(RANKER_FEATURES):
            raise DataError(
                f"request {request_id} logged {len(logged)} features; this code has {len(RANKER_FEATURES)}: compare "
                "lists of this release only (since_ms)"
            )
        for at in np.flatnonzero(logged.view("<i4") != vector.astype("<f4").view("<i4")):
            name = RANKER_FEATURES[at]
            found.append(Mismatch(request_id, item["video_id"], name, float(logged[at]), float(vector[at])))
    return found
