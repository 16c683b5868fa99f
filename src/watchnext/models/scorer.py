"""The ranker as a server runs it: one packed message in, one out (`features.codec`); pure, so an archive carries it.

A request has the encoded user (columns `user.*`) and the candidates `row`, `score`, `sources`; the answer has
`expected_seconds` and `long_view` of all candidates, and of the best `k` their indices `top`, best first, their
`features`, and on `explain` their `contributions`. No feature of a candidate travels: the video table is here.
"""

from pathlib import Path
from typing import Any, Final, Self

import numpy as np
import torch
from numpy.typing import NDArray

from watchnext.features.batches import UserColumns, ranker_batch
from watchnext.features.codec import pack, unpack
from watchnext.features.cross import cross_features
from watchnext.features.quantiles import QuantileNormalizer
from watchnext.features.spec import spec_hash
from watchnext.features.state import EncodedUser, RequestContext, UserState, encode_user
from watchnext.features.videos import VideoTable
from watchnext.features.vocabulary import Vocabularies
from watchnext.models.config import RankerConfig
from watchnext.models.ranker import Ranker

USER_PREFIX: Final = "user."
_FILE: Final = "ranker.wn"
_RANKER, _QUANTILES, _VIDEOS = "ranker.", "quantiles.", "videos."


class Scorer:
    """A ranker with the quantiles and the video table of its generation and overlay."""

    def __init__(
        self, ranker: Ranker, quantiles: QuantileNormalizer, videos: VideoTable, *, generation: str, overlay: int
    ) -> None:
        self._ranker = ranker.eval()
        self._quantiles = quantiles
        self._videos = videos
        self._target = {"generation": generation, "overlay": overlay}

    def save(self, folder: Path) -> None:
        """Write everything as one file of arrays into `folder`; no pickle."""
        columns = {
            **_prefixed(_RANKER, {name: value.numpy() for name, value in self._ranker.state_dict().items()}),
            **_prefixed(_QUANTILES, self._quantiles.arrays()),
            **_prefixed(_VIDEOS, self._videos.columns()),
        }
        meta = {**self._target, "spec_hash": spec_hash(), "config": self._ranker.config.to_json()}
        (folder / _FILE).write_bytes(pack(meta, columns))

    @classmethod
    def load(cls, folder: Path) -> Self:
        """What `save` wrote.

        Raises:
            ValueError: the file is torn, or was written by other feature code than this.
        """
        meta, columns = unpack(bytearray((folder / _FILE).read_bytes()))
        if meta["spec_hash"] != spec_hash():
            raise ValueError(f"features {meta['spec_hash']} came; this code makes {spec_hash()}: train again")
        ranker = Ranker(RankerConfig.from_json(meta["config"]))
        ranker.load_state_dict(
            {name: torch.from_numpy(value) for name, value in _without(_RANKER, columns).items()}, strict=True
        )
        return cls(
            ranker,
            QuantileNormalizer.from_arrays(_without(_QUANTILES, columns)),
            VideoTable.from_columns(_without(_VIDEOS, columns)),
            generation=meta["generation"],
            overlay=meta["overlay"],
        )

    def answer(self, body: bytes | bytearray) -> bytes:
        """Score the candidates of one request.

        Raises:
            ValueError: the body is no packed request, is for another generation, or has rows that are not in the
                table; the message says which.
        """
        meta, columns = unpack(body)
        asked = {"generation": meta.get("generation"), "overlay": meta.get("overlay")}
        if asked != self._target:
            raise ValueError(f"candidates of {asked} came; this ranker serves {self._target}")
        missing = {"row", "score", "sources"} - set(columns)
        if missing or not isinstance(meta.get("k"), int):
            raise ValueError(f"a request came without {sorted(missing | ({'k'} - set(meta)))}")
        rows = columns["row"]
        if rows.size and not 0 <= int(rows.min()) <= int(rows.max()) < len(self._videos):
            raise ValueError(f"rows up to {rows.max()} came; the table has {len(self._videos)}")
        user = EncodedUser.from_columns(_without(USER_PREFIX, columns))
        scores, features = self.score(
            user, rows, columns["score"], columns["sources"], explain=bool(meta.get("explain"))
        )
        top = np.argsort(-scores["expected_seconds"], kind="stable")[: meta["k"]].astype(np.int32)
        answer = {"expected_seconds": scores["expected_seconds"], "long_view": scores["long_view"], "top": top}
        answer["features"] = features[top]
        if "contributions" in scores:
            answer["contributions"] = scores["contributions"][top]
        return pack(self._target, answer)

    def score(
        self,
        user: EncodedUser,
        rows: NDArray[np.int32],
        retrieval_scores: NDArray[np.float32],
        sources: NDArray[np.int32],
        *,
        explain: bool = False,
    ) -> tuple[dict[str, NDArray[np.float32]], NDArray[np.float32]]:
        """Expected seconds and long-view probability `[candidates]`, and the features `[candidates, features]`."""
        candidates = self._videos.take(rows)
        features = cross_features(user, candidates, retrieval_scores, sources)
        if not len(rows):
            return {"expected_seconds": features[:, 0], "long_view": features[:, 0]}, features
        inputs = ranker_batch(UserColumns.of([user]), self._videos, candidates, self._quantiles.expand(features))
        batch = {name: torch.from_numpy(column) for name, column in inputs.items()}
        with torch.inference_mode():
            logit, long_view = self._ranker(batch)
        scores = {"expected_seconds": logit.exp().numpy(), "long_view": long_view.sigmoid().numpy()}
        if explain:
            scores["contributions"] = self._ranker.contributions(batch).numpy()
        return scores, features

    def warm_up(self) -> None:
        """Score a few videos for nobody, so that the first request finds everything loaded."""
        nobody = encode_user(UserState(), RequestContext(now_ms=0), _no_words())
        rows = np.arange(min(len(self._videos), 500), dtype=np.int32)
        self.score(nobody, rows, np.zeros(len(rows), np.float32), np.zeros(len(rows), np.int32), explain=True)


def _no_words() -> Vocabularies:
    return Vocabularies.from_json({name: [] for name in Vocabularies.__dataclass_fields__})


def _prefixed(prefix: str, columns: dict[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    return {prefix + name: column for name, column in columns.items()}


def _without(prefix: str, columns: dict[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    return {name.removeprefix(prefix): column for name, column in columns.items() if name.startswith(prefix)}
