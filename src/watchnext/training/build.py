"""Stages 6 to 8: build the generation, load its vectors into Milvus and verify them, publish.

Thin on purpose: `watchnext.generation` has the logic, this file knows where the earlier stages left things.
"""

from pathlib import Path

import structlog

from watchnext.evaluation.result import Evaluation
from watchnext.features.state import RequestContext
from watchnext.generation.build import GenerationParts, build_generation
from watchnext.generation.bundle import ProbeUser
from watchnext.generation.publish import publish as go_live
from watchnext.generation.store import GenerationStore
from watchnext.generation.verify import load_index as load_vectors
from watchnext.generation.verify import verify_index
from watchnext.index.milvus import VideoIndex
from watchnext.settings import Settings
from watchnext.training.example_set import ExampleSet
from watchnext.training.item_item import fit_item_item
from watchnext.training.ranker import load_ranker
from watchnext.training.towers import load_towers

_log = structlog.get_logger(__name__)


def build(settings: Settings, *, examples: Path, towers: Path, ranker: Path, evaluation: Path, card: str) -> str:
    """Put models, video table, probes and figures under one content hash.

    Returns:
        The generation's id.

    Raises:
        GenerationError: what was written does not verify.
    """
    data = ExampleSet.load(examples)
    fitted, quantiles = load_ranker(ranker)
    parts = GenerationParts(
        tower=load_towers(towers),
        ranker=fitted,
        quantiles=quantiles,
        item_item=fit_item_item(data.met, videos=len(data.videos) - 1),
        vocabularies=data.vocabularies,
        videos=data.videos,
        probes=[ProbeUser(probe["row"], RequestContext(**probe["context"])) for probe in data.probes],
        metrics=Evaluation.load(evaluation).flat(),
        snapshot=data.meta.snapshot,
        card=card,
        country_watches=data.country_watches,
    )
    return build_generation(GenerationStore.open(settings), parts).generation


def load_index(settings: Settings, generation: str) -> int:
    """Load a generation's vectors into Milvus, and verify count and recall against exact search.

    Returns:
        How many vectors there are.

    Raises:
        GenerationError: too few rows, or too little recall.
        VectorIndexError: Milvus is down.
    """
    bundle = GenerationStore.open(settings).load(generation)
    index = VideoIndex.open(settings)
    load_vectors(bundle, index)
    _log.info("index_verified", generation=generation, recall=round(verify_index(bundle, index), 4))
    return bundle.manifest.videos


def publish(settings: Settings, generation: str) -> None:
    """Make a generation the live one, once every replica has loaded it.

    Raises:
        GenerationError: it does not verify, or a replica does not acknowledge it in time.
        VectorIndexError: Milvus is down.
    """
    go_live(GenerationStore.open(settings), generation, 0, settings, say=_say)


def _say(step: str) -> None:
    _log.info("publishing", step=step)
