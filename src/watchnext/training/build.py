"""Stage 6: build the generation.

Thin on purpose: `watchnext.generation` has the logic, this file knows where the earlier stages left things.
"""

from pathlib import Path

from watchnext.evaluation.result import Evaluation
from watchnext.features.state import RequestContext
from watchnext.generation.build import GenerationParts, build_generation
from watchnext.generation.bundle import ProbeUser
from watchnext.generation.store import GenerationStore
from watchnext.settings import Settings
from watchnext.training.example_set import ExampleSet
from watchnext.training.ranker import load_ranker
from watchnext.training.towers import load_towers


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
        item_item=data.item_item,
        vocabularies=data.vocabularies,
        videos=data.videos,
        probes=[ProbeUser(probe["row"], RequestContext(**probe["context"])) for probe in data.probes],
        metrics=Evaluation.load(evaluation).flat(),
        snapshot=data.meta.snapshot,
        card=card,
        country_watches=data.country_watches,
    )
    return build_generation(GenerationStore.open(settings), parts).generation
