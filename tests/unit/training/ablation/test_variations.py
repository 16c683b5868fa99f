import numpy as np
import pytest
import torch

from tests.unit.models.model_world import DIM, SIZES, encoded, towers, user_inputs, video_inputs
from watchnext.errors import UsageError
from watchnext.features.batches import UserColumns
from watchnext.features.spec import TOWER_FEATURES
from watchnext.models.config import TowerConfig
from watchnext.models.losses import sampled_softmax
from watchnext.models.towers import TwoTower
from watchnext.training.ablation.plan import trials_of, uncapped
from watchnext.training.ablation.variations import VARIATIONS, chosen, random_held_out, without_log_q
from watchnext.training.example_set import TowerExamples

FILM, SONG, NEWS = 1, 2, 3


def test_every_row_has_its_base_first_and_unknown_ones_are_refused():
    assert [variation.name for variation in chosen("no-quantiles, no-log-q")] == [
        "ranker",
        "towers",
        "no-quantiles",
        "no-log-q",
    ]
    assert len(chosen("")) == len(VARIATIONS)
    assert trials_of("towers", 2) == [{"row": "towers", "seed": 0}, {"row": "towers", "seed": 1}]
    with pytest.raises(UsageError, match="no-such came as rows; wanted some of towers, no-example-age"):
        chosen("no-such")
    with pytest.raises(UsageError, match="0 seeds came"):
        trials_of("", 0)


def test_no_cap_is_a_setting_of_the_examples():
    assert '"cap_per_user": 1000000000' in uncapped('{"training": {"cap_per_user": 40, "seed": 7}}')


def test_a_hidden_input_says_nothing_of_the_user():
    """Users who differ in all but what they watched are the same to the row that reads watches alone."""
    plain = user_inputs(encoded(["film"]))
    other = user_inputs(encoded(["film"], search_terms=["cats"], country="US", age=30.0), example_age_days=9)
    amend = VARIATIONS["only-watches"].amend
    tower = towers()
    assert not torch.equal(tower.user(plain), tower.user(other))
    assert torch.equal(tower.user(amend(plain)), tower.user(amend(other)))


def test_example_age_alone_is_hidden():
    batch = user_inputs(encoded(["film"], age=30.0), example_age_days=9)
    amended = VARIATIONS["no-example-age"].amend(batch)
    changed = (amended["continuous"] != batch["continuous"])[0]
    assert [name for name, differs in zip(TOWER_FEATURES, changed, strict=True) if differs] == ["example_age_days"]
    assert batch["continuous"][0, -1] > 0, "the batch itself stays"


def test_matrix_factorisation_is_a_linear_map_of_ids():
    """A user of two videos is the mean of the users of each; a video is its id and what all have."""
    amend = VARIATIONS["matrix-factorisation"].amend
    tower = TwoTower(TowerConfig(sizes=SIZES, embedding_dim=DIM, hidden=())).eval()
    film, song, both = (
        tower.user(amend(user_inputs(encoded(watched)))) for watched in (["film"], ["song"], ["film", "song"])
    )
    torch.testing.assert_close(both, (film + song) / 2)
    videos = tower.videos(amend(video_inputs()))[:, :DIM]
    torch.testing.assert_close(
        videos[FILM] - videos[SONG], tower.video_embedding.weight[2] - tower.video_embedding.weight[1]
    )


def test_without_log_q_the_loss_is_that_of_a_plain_softmax():
    batch = {"log_q": torch.tensor([-1.0, -5.0])}
    user, positive, negative = torch.tensor([[1.0]]), torch.tensor([[2.0]]), torch.tensor([[0.5], [0.25]])
    ids = torch.tensor([1]), torch.tensor([2, 3])
    loss = sampled_softmax(user, positive, ids[0], negative, ids[1], without_log_q(batch)["log_q"])
    by_hand = -np.log(np.exp(2.0) / (np.exp(2.0) + np.exp(0.5) + np.exp(0.25)))
    assert loss.item() == pytest.approx(by_hand, rel=1e-6)


@pytest.mark.parametrize("watched", [["film", "song"], ["film", "not in the catalogue", "song"]])
def test_a_random_label_is_any_watch_and_the_others_are_the_history(watched):
    users = UserColumns.of(
        [
            encoded(
                watched,
                impression_video_ids=["news", "film"],
                impression_counts=[1, 1],
                impression_last=[1, 1],
            )
        ]
        * 300
    )
    examples = TowerExamples(users=users, row=np.full(300, NEWS, np.int32), age_days=np.zeros(300, np.float32))
    drawn = random_held_out(examples, np.random.default_rng(0))
    others = {FILM: [SONG, NEWS], SONG: [FILM, NEWS], NEWS: [FILM, SONG]}
    for row, history, shown in zip(drawn.row, drawn.users.history, drawn.users.shown, strict=True):
        assert history[history > 0].tolist() == others[row]
        assert row not in shown
    assert np.bincount(drawn.row, minlength=4)[1:] == pytest.approx([100, 100, 100], abs=30)
