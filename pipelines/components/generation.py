"""From trained models to what is live, and the refresh between two trainings."""

from kfp.dsl import Artifact, Dataset, Input, Markdown, Model

from pipelines.components import component


@component
def refuse(reason: str) -> None:
    """End the run: a gate refused to publish."""
    from watchnext.errors import GateError

    raise GateError(reason)


@component
def build_generation(
    encoded: Input[Dataset],
    towers: Input[Model],
    ranker: Input[Model],
    evaluation: Input[Artifact],
    card: Input[Markdown],
) -> str:
    """Put everything under one content hash; the answer is the generation's id."""
    from pathlib import Path

    from watchnext.settings import load_settings
    from watchnext.training.build import build

    return build(
        load_settings(),
        examples=Path(encoded.path),
        towers=Path(towers.path),
        ranker=Path(ranker.path),
        evaluation=Path(evaluation.path),
        card=Path(card.path).read_text(),
    )


@component
def load_index(generation: str) -> int:
    """Load the generation's vectors into Milvus and verify count and recall; the answer is the number of vectors."""
    from watchnext.settings import load_settings
    from watchnext.training.publish import load_index as load

    return load(load_settings(), generation)


@component
def publish(generation: str) -> None:
    """Stage the generation, wait until every replica has loaded it, move the pointer."""
    from watchnext.settings import load_settings
    from watchnext.training.publish import publish as go_live

    go_live(load_settings(), generation)


@component
def refresh() -> str:
    """Make and publish the live generation's next overlay; the answer is `generation.overlay`."""
    from watchnext.clock import SystemClock
    from watchnext.settings import load_settings
    from watchnext.training.refresh import refresh as make_overlay

    return make_overlay(load_settings(), SystemClock())
