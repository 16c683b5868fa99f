"""The two pipelines: `train`, from events to a live generation, and `refresh_index`, which trains nothing.

The cache key of a task is its arguments: the snapshot's id and settings are those of every task that computes. What
freezes, and what leaves its result outside of the artifacts (store, index, pointer), is never cached.
"""

from kfp import dsl
from kfp.dsl.base_component import BaseComponent

from pipelines.components import IMAGE, data, generation, models
from pipelines.shape import Shape


def train(shape: Shape) -> BaseComponent:
    """Snapshot → examples → towers, ranker → evaluate → build, load, publish; or refuse, where a gate says no."""

    @dsl.pipeline(name="watchnext-train", description="Train on a frozen snapshot, and publish what passes the gates.")
    def pipeline(profile: str = "", training: str = "{}", image: str = IMAGE):
        frozen = shape.task(data.snapshot(profile=profile, training=training), image).set_caching_options(False)
        key = {name: frozen.outputs[name] for name in ("snapshot_id", "settings")}
        encoded = shape.task(data.examples(**key, frozen=frozen.outputs["frozen"]), image).outputs["encoded"]
        towers = shape.training(models.train_towers(**key, encoded=encoded), image).outputs["towers"]
        ranker = shape.training(models.train_ranker(**key, encoded=encoded), image).outputs["ranker"]
        measured = shape.task(models.evaluate(**key, encoded=encoded, towers=towers, ranker=ranker), image)
        with dsl.If(measured.outputs["gate"] == "passed", "gates passed"):
            built = shape.task(
                generation.build_generation(
                    encoded=encoded,
                    towers=towers,
                    ranker=ranker,
                    evaluation=measured.outputs["evaluation"],
                    card=measured.outputs["card"],
                ),
                image,
            ).set_caching_options(False)
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
