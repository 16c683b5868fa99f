"""The two pipelines: `train`, from events to a live generation, and `refresh_index`, which trains nothing.

The cache key of a task is its arguments: the snapshot's id and settings are those of every task that computes. What
freezes, and what leaves its result outside of the artifacts (store, index, pointer), is never cached.
"""

from kfp import dsl
from kfp.dsl.base_component import BaseComponent
from kfp.dsl.pipeline_channel import PipelineChannel

from pipelines.components import IMAGE, data, generation, models
from pipelines.shape import Shape


def train(shape: Shape) -> BaseComponent:
    """Snapshot → examples → towers, ranker → evaluate → build, load, publish; or refuse, where a gate says no."""

    @dsl.pipeline(name="watchnext-train", description="Train on a frozen snapshot, and publish what passes the gates.")
    def pipeline(profile: str = "", training: str = "{}", image: str = IMAGE) -> None:
        frozen = shape.task(data.snapshot(profile=profile, training=training), image).set_caching_options(False)
        key = {name: frozen.outputs[name] for name in ("snapshot_id", "settings")}
        encoded = shape.sized(data.examples(**key, frozen=frozen.outputs["frozen"]), image).outputs["encoded"]
        towers, ranker = (trained(shape, model, image, encoded=encoded, **key) for model in ("towers", "ranker"))
        measured = shape.sized(models.evaluate(**key, encoded=encoded, towers=towers, ranker=ranker), image)
        with dsl.If(measured.outputs["gate"] == "passed", "gates passed"):
            built = shape.sized(
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
            refused = shape.task(generation.refuse(reason=measured.outputs["refusal"]), image, retries=0)
            refused.set_caching_options(False)

    return pipeline


def trained(shape: Shape, model: str, image: str, **inputs: PipelineChannel) -> PipelineChannel:
    """`towers` or `ranker` as fitted by a step of its own, or by a TrainJob where there are several nodes."""
    if shape.nodes == 1:
        step = {"towers": models.train_towers, "ranker": models.train_ranker}[model](**inputs)
        return shape.training(step, image).outputs[model]
    step = models.train_on_nodes(model=model, nodes=shape.nodes, runtime=shape.runtime, image=image, **inputs)
    return shape.task(step, image).set_display_name(f"train-{model}").outputs["trained"]


def refresh_index(shape: Shape) -> BaseComponent:
    """New and changed videos and counters as the live generation's next overlay."""

    @dsl.pipeline(name="watchnext-refresh-index", description="Refresh videos and counters without training.")
    def pipeline(image: str = IMAGE) -> None:
        shape.task(generation.refresh(), image).set_caching_options(False)

    return pipeline
