"""The ablation: each choice of the models left out in turn, with several seeds, and the card of what it was worth.

Trains on a snapshot like `train` does, publishes nothing. A trial is a task: `dsl.ParallelFor` over rows and seeds.
"""

from kfp import dsl
from kfp.dsl.base_component import BaseComponent

from pipelines.components import IMAGE, data
from pipelines.components import ablation as parts
from pipelines.shape import Shape

AT_ONCE = 2  # trials
SEEDS = 3


def ablation(shape: Shape) -> BaseComponent:
    """Snapshot → examples, with and without the cap → every row with every seed → card."""

    @dsl.pipeline(name="watchnext-ablation", description="What each choice is worth: trains without it, and compares.")
    def pipeline(
        rows: str = "", seeds: int = SEEDS, profile: str = "", training: str = "{}", image: str = IMAGE
    ) -> None:
        frozen = shape.task(data.snapshot(profile=profile, training=training), image).set_caching_options(False)
        id_, settings, files = (frozen.outputs[name] for name in ("snapshot_id", "settings", "frozen"))
        planned = parts.plan(snapshot_id=id_, settings=settings, rows=rows, seeds=seeds)
        trials = shape.task(planned, image).output
        without_cap = shape.task(parts.uncapped(settings=settings), image).output
        encoded = shape.sized(data.examples(snapshot_id=id_, settings=settings, frozen=files), image)
        uncapped = shape.sized(
            data.examples(snapshot_id=id_, settings=without_cap, frozen=files), image
        ).set_display_name("examples-uncapped")
        with dsl.ParallelFor(trials, name="rows and seeds", parallelism=AT_ONCE) as item:
            trial = shape.training(
                parts.trial(
                    snapshot_id=item.snapshot_id,
                    settings=item.settings,
                    row=item.row,
                    seed=item.seed,
                    encoded=encoded.outputs["encoded"],
                    uncapped=uncapped.outputs["encoded"],
                ),
                image,
            )
        shape.task(parts.card(encoded=encoded.outputs["encoded"], trials=dsl.Collected(trial.outputs["found"])), image)

    return pipeline
