"""Freeze data and settings, then make examples of them."""

from typing import NamedTuple

from kfp.dsl import Dataset, Input, Output

from pipelines.components import component


@component
def snapshot(
    profile: str,
    training: str,
    frozen: Output[Dataset],
) -> NamedTuple("Taken", [("snapshot_id", str), ("settings", str)]):
    """Freeze the event archive and the offline features; the answer is their content id, and the run's settings."""
    from pathlib import Path

    from watchnext.training.snapshot import freeze, settings_of_run, settings_with

    merged = settings_with(profile, training)
    taken = freeze(merged, Path(frozen.path))
    frozen.metadata.update(taken.summary())
    return NamedTuple("Taken", [("snapshot_id", str), ("settings", str)])(taken.id, settings_of_run(merged))


@component
def examples(snapshot_id: str, settings: str, frozen: Input[Dataset], encoded: Output[Dataset]) -> None:
    """Encode tower and ranker examples from rows as of each label."""
    import json
    from pathlib import Path

    from watchnext.settings import load_settings
    from watchnext.training.examples import build_examples
    from watchnext.training.snapshot import Snapshot

    merged = load_settings(**json.loads(settings))
    taken = Snapshot.load(Path(frozen.path), expected_id=snapshot_id)
    encoded.metadata.update(build_examples(merged, taken, Path(encoded.path)))
