from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.local.trainable import write_examples
from watchnext.settings import Settings, Training
from watchnext.training.ablation.trial import changed, run_trial
from watchnext.training.ablation.variations import VARIATIONS
from watchnext.training.example_set import ExampleSet


@pytest.fixture
def examples(tmp_path: Path) -> ExampleSet:
    write_examples(tmp_path / "examples")
    return ExampleSet.load(tmp_path / "examples")


def test_clicks_count_one_second_in_files_of_their_own(examples, tmp_path):
    before = examples.ranker.read()
    copy = changed(VARIATIONS["plain-logistic"], 0, examples, tmp_path / "copy")
    clicks = ExampleSet.load(copy.folder).ranker.read()
    assert clicks.seconds.tolist() == before.clicked.astype(float).tolist()
    assert examples.ranker.read().seconds.tolist() == before.seconds.tolist()
    assert copy.towers.read().row.tolist() == examples.towers.read().row.tolist()


def test_labels_are_drawn_anew_by_the_seed(examples, tmp_path):
    rows = [
        changed(VARIATIONS["random-label"], seed, examples, tmp_path / name).towers.read().row
        for name, seed in (("a", 0), ("b", 0), ("c", 1))
    ]
    assert rows[0].tolist() == rows[1].tolist()
    assert np.mean(rows[0] != rows[2]) > 0.5
    assert np.mean(rows[0] != examples.towers.read().row) > 0.5


def test_a_variation_of_numbers_alone_reads_the_examples_as_they_are(examples, tmp_path):
    assert changed(VARIATIONS["depth-0"], 0, examples, tmp_path / "copy") is examples
    assert not (tmp_path / "copy").exists()


def test_a_figure_that_the_holdout_does_not_define_is_none_of_the_card(examples, tmp_path):
    """Its NaN made the card no JSON, and each difference from the base "nan"."""
    shown = examples.ranker.read()
    unclicked = replace(shown, clicked=np.zeros_like(shown.clicked), seconds=np.zeros_like(shown.seconds))
    with examples.held_out.writer() as held_out:
        held_out.write(unclicked.take(slice(10)))
    settings = Settings(home=tmp_path, profile="tiny", training=Training(epochs=1, threads=1))
    trial = run_trial(settings, VARIATIONS["ranker"], 0, examples.folder)
    assert trial.figures == {}
