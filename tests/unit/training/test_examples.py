from dataclasses import asdict

import pytest
from torch import nn

from watchnext.settings import Generations, Settings, Training
from watchnext.training.checkpoint import Checkpoints
from watchnext.training.example_set import Meta
from watchnext.training.examples import heeded
from watchnext.training.optimiser import Optimiser


@pytest.mark.parametrize(
    "changed",
    [
        {"generations": Generations(refresh_minutes=30)},
        {"training": Training(click_window_minutes=60)},
        {"training": Training(max_age_days=30)},
    ],
)
def test_a_checkpoint_of_examples_that_other_settings_made_is_another(tmp_path, changed):
    """Counters as of other times, other labels: the snapshot and the number of examples may be the same."""

    def place(settings: Settings):
        meta = Meta(snapshot="s", split_ms=1, end_ms=2, counts={"impressions": 3}, settings=heeded(settings))
        model = nn.Linear(1, 1)
        return Checkpoints(settings, "towers", model, Optimiser(model, 0.1), [asdict(meta)]).path

    plain = Settings(home=tmp_path)
    assert place(plain.model_copy(update=changed)) != place(plain) == place(Settings(home=tmp_path))
