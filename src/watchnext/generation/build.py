"""Build a generation from what training leaves: vectors, popular lists, expected answers, files, id.

>>> manifest = build_generation(store, parts)                                           # doctest: +SKIP
>>> store.load(manifest.generation).videos                                              # doctest: +SKIP
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import structlog
from numpy.typing import NDArray

from watchnext.features.quantiles import QuantileNormalizer
from watchnext.features.videos import VideoTable
from watchnext.features.vocabulary import Vocabularies
from watchnext.generation.bundle import ProbeUser, VideoSide, model_files, video_files
from watchnext.generation.item_item import ItemItem
from watchnext.generation.manifest import Manifest
from watchnext.generation.popular import popular_rows
from watchnext.generation.store import GenerationStore
from watchnext.generation.vectors import video_vectors
from watchnext.generation.verify import answered, verify_probes
from watchnext.models.ranker import Ranker
from watchnext.models.towers import TwoTower

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class GenerationParts:
    """What training leaves."""

    tower: TwoTower
    ranker: Ranker
    quantiles: QuantileNormalizer
    item_item: ItemItem
    vocabularies: Vocabularies
    videos: VideoTable
    probes: Sequence[ProbeUser]  # 100 in the pipeline
    metrics: Mapping[str, float]  # of quality; not seconds, which would make another id each run
    snapshot: str  # id of the training data
    card: str = ""  # the model card, Markdown
    country_watches: Mapping[str, NDArray[np.float32]] = field(default_factory=dict)  # country to watches `[V]`


def build_generation(store: GenerationStore, parts: GenerationParts) -> Manifest:
    """Write the generation of `parts` and read it back.

    Returns:
        Its manifest; `generation` is the id.

    Raises:
        GenerationError: what was written does not verify.
    """
    tower = parts.tower.eval()
    vectors = video_vectors(tower, parts.videos, np.arange(len(parts.videos.video_ids)))
    side = VideoSide(
        vocabularies=parts.vocabularies,
        videos=parts.videos,
        vectors=vectors,
        probes=answered(
            parts.probes,
            tower=tower,
            ranker=parts.ranker,
            quantiles=parts.quantiles,
            vocabularies=parts.vocabularies,
            videos=parts.videos,
            vectors=vectors,
        ),
        popular=popular_rows(parts.videos, parts.country_watches),
    )
    manifest = store.write(
        {**model_files(tower, parts.ranker, parts.quantiles, parts.item_item, parts.card), **video_files(side)},
        snapshot=parts.snapshot,
        videos=len(vectors) - 1,
        dim=vectors.shape[1],
        counters_at=parts.videos.counters_at_ms,
        configs={"tower": parts.tower.config.to_json(), "ranker": parts.ranker.config.to_json()},
        metrics=parts.metrics,
    )
    bundle = store.load(manifest.generation)
    verify_probes(bundle)
    log.info("generation.built", generation=manifest.generation, videos=manifest.videos, dim=manifest.dim)
    return bundle.manifest
