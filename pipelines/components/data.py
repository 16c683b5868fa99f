"""Freeze the data, then make examples of it."""

from kfp.dsl import Dataset, Input, Output

from pipelines.components import component


@component
def snapshot(frozen: Output[Dataset]) -> str:
    """Freeze the event archive and the offline features; the answer is the snapshot's content id."""
    from pathlib import Path

    from watchnext.settings import load_settings
    from watchnext.training.snapshot import freeze

    taken = freeze(load_settings(), Path(frozen.path))
    frozen.metadata.update(taken.summary())
    return taken.id


@component
def examples(snapshot_id: str, profile: str, training: str, frozen: Input[Dataset], encoded: Output[Dataset]):
    """Encode tower and ranker examples from rows as of each label."""
    import json
    from pathlib import Path

    from watchnext.settings import load_settings
    from watchnext.training.examples import build_examples
    from watchnext.training.snapshot import Snapshot

    settings = load_settings(profile=profile, training=json.loads(training))
    taken = Snapshot.load(Path(frozen.path), expected_id=snapshot_id)
    encoded.metadata.update(build_examples(settings, taken, Path(encoded.path)))
