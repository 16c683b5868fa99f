"""Train each model once more for each choice and seed, and show what the choice was worth."""

from typing import List  # noqa: UP035 - KFP reads the annotation and knows this List alone

from kfp.dsl import HTML, Artifact, Dataset, Input, Markdown, Output

from pipelines.components import component


@component
def plan(snapshot_id: str, settings: str, rows: str, seeds: int) -> list:
    """Every row with every seed, each with the run's key: a loop of KFP's local runner sees no other task's outputs."""
    from watchnext.training.ablation.plan import trials_of

    return [{"snapshot_id": snapshot_id, "settings": settings, **one} for one in trials_of(rows, seeds)]


@component
def uncapped(settings: str) -> str:
    """The settings of examples that leave out none of a user's."""
    from watchnext.training.ablation.plan import uncapped as without_cap

    return without_cap(settings)


@component
def trial(
    snapshot_id: str,
    settings: str,
    row: str,
    seed: int,
    encoded: Input[Dataset],
    uncapped: Input[Dataset],
    found: Output[Artifact],
) -> None:
    """Train one row with one seed, and measure it on the holdout."""
    import json
    from pathlib import Path

    from watchnext.settings import load_settings
    from watchnext.training.ablation.trial import run_trial
    from watchnext.training.ablation.variations import VARIATIONS

    variation = VARIATIONS[row]
    examples = Path((uncapped if variation.uncapped else encoded).path)
    run_trial(load_settings(**json.loads(settings)), variation, seed, examples).save(Path(found.path))


@component
def card(
    encoded: Input[Dataset],
    trials: Input[List[Artifact]],  # noqa: UP006
    report: Output[HTML],
    text: Output[Markdown],
    figures: Output[Artifact],
) -> None:
    """The ablation card as a page, as Markdown and as JSON."""
    from pathlib import Path

    from watchnext.training.ablation.card import AblationCard
    from watchnext.training.example_set import ExampleSet

    meta = ExampleSet.load(Path(encoded.path)).meta
    made = AblationCard.of(meta.snapshot, meta.counts, [Path(one.path) for one in trials])
    Path(report.path).write_text(made.html())
    Path(text.path).write_text(made.markdown())
    Path(figures.path).write_text(made.json())
