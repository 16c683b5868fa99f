import math

import pytest
import torch

from tests.unit.features.world import NOW
from tests.unit.models.model_world import DIM, encoded, towers, user_inputs, video_inputs
from watchnext.models.losses import sampled_softmax
from watchnext.models.upload_curve import GAIN, PERIODS

FILM, SONG, NEWS = 1, 2, 3  # rows; film and song have embedding ids, news is cold


def test_the_id_embedding_is_shared_by_history_and_video_tower():
    model = towers()
    names = [name for name, weight in model.named_parameters() if weight.shape == (3, 6)]
    assert names == ["video_embedding.weight"]
    user, videos = model.user(user_inputs(encoded(["song"]))), model.videos(video_inputs())
    with torch.no_grad():
        model.video_embedding.weight[1] += 1.0  # of song
    assert not torch.allclose(model.user(user_inputs(encoded(["song"]))), user)
    changed = (model.videos(video_inputs()) - videos).abs().sum(dim=1) > 1e-6
    assert changed.tolist() == [False, False, True, False]


def test_the_averaged_history_goes_past_the_relu_tower_by_the_gain():
    model = towers()
    both, nobody = user_inputs(encoded(["film", "song"])), user_inputs(encoded([]))
    with torch.no_grad():
        before, of_nobody = model.user(both)[:, :DIM], model.user(nobody)
        model.history_gain += 2.0
        film, song = model.video_embedding.weight[2], model.video_embedding.weight[1]
        assert torch.allclose(model.user(both)[:, :DIM] - before, film + song, atol=1e-5)  # 2.0 times their mean
        assert torch.equal(model.user(nobody), of_nobody)


def test_a_window_pools_the_last_watches_alone():
    model = towers(windows=(50, 1))
    with torch.no_grad():
        asked = [user_inputs(encoded(history)) for history in (["film", "song"], ["song", "film"])]
        before = [model.user(batch)[:, :DIM] for batch in asked]
        model.history_gain[1] += 2.0  # of the last watch
        after = [model.user(batch)[:, :DIM] for batch in asked]
        film, song = model.video_embedding.weight[2], model.video_embedding.weight[1]
    assert torch.allclose(after[0] - before[0], 2 * song, atol=1e-5)
    assert torch.allclose(after[1] - before[1], 2 * film, atol=1e-5)


def test_a_cold_video_is_its_content_part_alone():
    model = towers()
    vectors, content = model.videos(video_inputs()), model.content(video_inputs())
    assert torch.equal(vectors[NEWS], content[NEWS])
    assert not torch.allclose(vectors[FILM], content[FILM])
    assert content[NEWS].abs().sum() > 0


def test_id_dropout_works_in_training_only():
    model = towers(id_dropout=0.5).train()
    batch = {name: column.repeat_interleave(200, dim=0) for name, column in video_inputs().items()}
    plain = torch.isclose(model.videos(batch), model.content(batch)).all(dim=1)
    assert plain[200:400].float().mean() == pytest.approx(0.5, abs=0.15)
    model.eval()
    assert not torch.isclose(model.videos(batch), model.content(batch)).all(dim=1)[200:400].any()


@pytest.mark.parametrize(
    "changed",
    [
        {"watched": ("song",)},
        {"search_tokens": ["cats"]},
        {"country": "DE"},
        {"device": "tv"},
        {"gender": "f"},
        {"logged_in": True},
        {"age": 40.0},
        {"now_ms": NOW + 3_600_000},
        {"surface": "watch"},
    ],
    ids=lambda changed: next(iter(changed)),
)
def test_each_named_input_moves_the_user_vector(changed):
    model = towers()
    assert not torch.allclose(model.user(user_inputs(encoded(**changed))), model.user(user_inputs(encoded())))


def test_example_age_moves_the_user_vector():
    model = towers()
    aged, served = user_inputs(encoded(), example_age_days=20.0), user_inputs(encoded())
    assert not torch.allclose(model.user(aged), model.user(served))


def test_a_cold_history_still_counts_by_channel_and_topics():
    model = towers()
    assert not torch.allclose(model.user(user_inputs(encoded(["news"]))), model.user(user_inputs(encoded([]))))


@pytest.mark.parametrize("pooling", ["average", "sum", "max", "attention"])
def test_towers_learn_which_video_follows_which(pooling):
    model = towers(pooling=pooling).train()
    users = user_inputs(encoded(["film"]), encoded(["song"]), encoded(["news"]))
    following = torch.tensor([SONG, NEWS, FILM])
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
    log_q = torch.full((4,), 0.25).log()
    for _ in range(150):
        vectors = model.videos(video_inputs())
        loss = sampled_softmax(model.user(users), vectors[following], following, vectors, torch.arange(4), log_q)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    model.eval()
    assert (model.user(users) @ model.videos(video_inputs()).T).argmax(dim=1).tolist() == following.tolist()
    assert model.video_embedding.weight[0].tolist() == [0.0] * 6


def test_through_example_age_a_video_is_as_old_as_it_was_at_the_watch():
    """The news, uploaded half a day before the end: at an example age of two days it was not there yet."""
    model = towers(until_ms=NOW)
    with torch.no_grad():
        before = model.user(user_inputs(encoded(), example_age_days=2.0)) @ model.videos(video_inputs()).T
        model.upload_curve.sines += 0.1
        after = model.user(user_inputs(encoded(), example_age_days=2.0)) @ model.videos(video_inputs()).T
    added = (after - before)[0]
    by_hand = [
        sum(GAIN * 0.1 * math.sin(2 * math.pi * (days - 2) / period) for period in PERIODS) for days in (10.0, 0.5)
    ]
    assert added[[FILM, NEWS]].tolist() == pytest.approx(by_hand, abs=1e-3)
