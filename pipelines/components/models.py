"""Train both models, measure them on the holdout, and write down what came of it."""

from typing import NamedTuple

from kfp.dsl import HTML, Artifact, Dataset, Input, Markdown, Metrics, Model, Output

from pipelines.components import component


@component
def train_towers(
    snapshot_id: str, settings: str, encoded: Input[Dataset], towers: Output[Model], tensorboard: Output[Artifact]
) -> None:
    """Fit the two towers by all accelerators of the node; TensorBoard's files are an artifact of their own."""
    import json
    import shutil
    from pathlib import Path

    from watchnext.settings import load_settings
    from watchnext.training.main import Model as Kind
    from watchnext.training.on_node import train_on_node as train

    merged = load_settings(**json.loads(settings))
    towers.metadata.update(train(merged, Kind.TOWERS, Path(encoded.path), Path(towers.path)))
    shutil.move(f"{towers.path}/tensorboard", tensorboard.path)


@component
def train_ranker(
    snapshot_id: str, settings: str, encoded: Input[Dataset], ranker: Output[Model], tensorboard: Output[Artifact]
) -> None:
    """Fit the ranker by all accelerators of the node; TensorBoard's files are an artifact of their own."""
    import json
    import shutil
    from pathlib import Path

    from watchnext.settings import load_settings
    from watchnext.training.main import Model as Kind
    from watchnext.training.on_node import train_on_node as train

    merged = load_settings(**json.loads(settings))
    ranker.metadata.update(train(merged, Kind.RANKER, Path(encoded.path), Path(ranker.path)))
    shutil.move(f"{ranker.path}/tensorboard", tensorboard.path)


@component
def train_on_nodes(
    model: str,
    snapshot_id: str,
    settings: str,
    nodes: int,
    runtime: str,
    image: str,
    encoded: Input[Dataset],
    trained: Output[Model],
    tensorboard: Output[Artifact],
) -> None:
    """Fit `towers` or `ranker` as their own steps do, by a TrainJob of several nodes, and wait for it."""
    import json
    import shutil
    from pathlib import Path

    from watchnext.settings import load_settings
    from watchnext.training.main import Model as Kind
    from watchnext.training.train_job import Nodes
    from watchnext.training.train_job import train_on_nodes as train

    merged = load_settings(**json.loads(settings))
    who = Nodes(count=nodes, runtime=runtime, image=image)
    trained.metadata.update(train(merged, Kind(model), Path(encoded.path), Path(trained.path), who))
    shutil.move(f"{trained.path}/tensorboard", tensorboard.path)


@component
def evaluate(
    snapshot_id: str,
    settings: str,
    encoded: Input[Dataset],
    towers: Input[Model],
    ranker: Input[Model],
    evaluation: Output[Artifact],
    metrics: Output[Metrics],
    report: Output[HTML],
    card: Output[Markdown],
) -> NamedTuple("Verdict", [("gate", str), ("refusal", str)]):
    """Measure on the holdout beside the baselines; the answer is "passed", or "refused" and why."""
    import json
    from pathlib import Path

    from watchnext.settings import load_settings
    from watchnext.training.evaluate import evaluate as measure
    from watchnext.training.gates import refusal
    from watchnext.training.report import model_card, report_html

    merged = load_settings(**json.loads(settings))
    measured = measure(merged, Path(encoded.path), Path(towers.path), Path(ranker.path))
    measured.save(Path(evaluation.path))
    for name, value in measured.flat().items():
        metrics.log_metric(name, value)
    reason = refusal(measured, merged)
    Path(report.path).write_text(report_html(measured, reason))
    Path(card.path).write_text(model_card(measured, reason))
    return NamedTuple("Verdict", [("gate", str), ("refusal", str)])("refused" if reason else "passed", reason)
