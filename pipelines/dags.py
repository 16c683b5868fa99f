"""The two pipelines: `train`, from events to a live generation, and `refresh_index`, which trains nothing.

The cache key of a task is its arguments: the snapshot id is one of every task's, and freezing is never cached.
"""

from kfp import dsl
from kfp.dsl.base_component import BaseComponent

from pipelines.components import IMAGE, data, generation, models
from pipelines.shape import Shape


def train(shape: Shape) -> BaseComponent:
    """Snapshot → examples → towers, ranker → evaluate → build, load, publish; or refuse, where a gate says no."""

    @dsl.pipeline(name="watchnext-train", description="Train on a frozen snapshot, and publish what passes the gates.")
    def pipeline(profile: str = "small", training: str = "{}", image: str = IMAGE):
        frozen = shape.task(data.snapshot(), image).set_caching_options(False)
        key = {"snapshot_id": frozen.outputs["Output"]}
        how = {**key, "profile": profile, "training": training}
        encoded = shape.task(data.examples(**how, frozen=frozen.outputs["frozen"]), image).outputs["encoded"]
        towers = shape.training(models.train_towers(**how, encoded=encoded), image).outputs["towers"]
        ranker = shape.training(models.train_ranker(**how, encoded=encoded), image).outputs["ranker"]
        measured = shape.task(models.evaluate(**how, encoded=encoded, towers=towers, ranker=ranker), image)
        with dsl.If(measured.outputs["gate"] == "passed", "gates passed"):
            built = shape.task(
                generation.build_generation(
                    **key,
                    encoded=encoded,
                    towers=towers,
                    ranker=ranker,
                    evaluation=measured.outputs["evaluation"],
                    card=measured.outputs["card"],
                ),
                image,
            )
            loaded = shape.task(generation.load_index(generation=built.output), image).set_caching_options(False)
            live = shape.task(generation.publish(generation=built.output), image).after(loaded)
            live.set_caching_options(False)
        with dsl.Else("gate refused"):
            shape.task(generation.refuse(reason=measured.outputs["refusal"]), image).set_caching_options(False)

    return pipeline


def refresh_index(shape: Shape) -> BaseComponent:
    """New and changed videos and counters as the live generation's next overlay."""

    @dsl.pipeline(name="watchnext-refresh-index", description="Refresh videos and counters without training.")
    def pipeline(image: str = IMAGE):
        shape.task(generation.refresh(), image).set_caching_options(False)

    return pipeline
