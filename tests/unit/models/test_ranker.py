from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.unit.models.model_world import FEATURES, SIZES, encoded, ranker, ranker_inputs
from watchnext.models.losses import weighted_logistic
from watchnext.models.ranker import Ranker


def test_one_parameter_embeds_impressed_last_watched_and_seed_video():
    model = ranker()
    embeddings = {name for name, _ in model.named_parameters() if "video" in name}
    assert embeddings == {"video_embedding.weight"}
    uses = {
        "impressed": ranker_inputs(encoded([]), rows=(1,)),  # film is the one video with a ranking embedding
        "last watched": ranker_inputs(encoded(["film"]), rows=(2,)),
        "last shown": ranker_inputs(encoded([], **shown("film")), rows=(2,)),
        "seed": ranker_inputs(encoded([], seed="film"), rows=(2,)),
    }
    none = ranker_inputs(encoded([]), rows=(2,))
    before = {name: model(batch)[0] for name, batch in uses.items()}
    unused = model(none)[0]
    with torch.no_grad():
        model.video_embedding.weight[1] += 1.0
    for name, batch in uses.items():
        assert not torch.allclose(model(batch)[0], before[name]), name
    assert torch.equal(model(none)[0], unused)


def shown(*videos):
    return {
        "impression_video_ids": videos,
        "impression_counts": [1] * len(videos),
        "impression_last": [0] * len(videos),
    }


def test_what_a_video_has_in_common_with_others_that_were_watched_or_shown_is_an_input():
    """Not with itself: an impression of the very video would else look like a sign that it is liked."""
    model = Ranker(replace(ranker().config, sizes=replace(SIZES, ranking_videos=3)))
    film, other = model.video_embedding.weight[1:].detach()
    batch = ranker_inputs(encoded(["film"]), rows=(1, 2))
    batch |= {"history": torch.tensor([[1, 2, 2]]), "shown": torch.tensor([[1, 1, 0]])}
    likeness = model._inputs(batch)[:, -3 * FEATURES - 2 : -3 * FEATURES]
    assert likeness[0].tolist() == pytest.approx([3 * float(film @ other), 0], abs=1e-6)
    assert likeness[1].tolist() == [0, 0]  # song has no embedding
    batch["shown"] = torch.tensor([[2, 0, 0]])
    assert float(model._inputs(batch)[0, -3 * FEATURES - 1]) == pytest.approx(3 * float(film @ other))


def test_ids_start_at_the_vectors_that_are_known():
    model = ranker()
    before = model.video_embedding.weight.detach().clone()
    model.warm_start(torch.zeros_like(before))
    assert torch.equal(model.video_embedding.weight, before)
    known = torch.zeros_like(before)
    known[1] = 0.5
    model.warm_start(known)
    assert torch.equal(model.video_embedding.weight, known)


def test_dropout_is_for_training():
    model, batch = ranker(dropout=0.5), ranker_inputs(encoded(["film"]))
    assert torch.equal(model(batch)[0], model(batch)[0])
    model.train()  # as `fit` does
    assert not torch.equal(model(batch)[0], model(batch)[0])


def test_a_user_among_many_scores_like_the_user_alone():
    model = ranker()
    first, second = ranker_inputs(encoded(["film"]), rows=(1, 2)), ranker_inputs(encoded([], gender="m"), rows=(3,))
    users = ("history", "shown", "seed", "query_tokens", "country", "device", "gender", "surface", "hour")
    both = {name: torch.cat([first[name][:1] if name in users else first[name], second[name]]) for name in users}
    for name in ("video", "channel", "language", "continuous"):
        both[name] = torch.cat([first[name], second[name]])
    both["topics"] = torch.cat([first["topics"], torch.nn.functional.pad(second["topics"], (0, 1))])
    both["user"] = torch.tensor([0, 0, 1])
    alone = torch.cat([model(first)[0], model(second)[0]])
    assert torch.allclose(model(both)[0], alone, atol=1e-6)


@pytest.mark.parametrize("changed", [{"last_query": "funny cats"}, {"surface": ""}, {"country": "US"}], ids=str)
def test_query_surface_and_country_move_the_score(changed):
    model = ranker()
    assert not torch.allclose(model(ranker_inputs(encoded(**changed)))[0], model(ranker_inputs(encoded()))[0])


def test_expected_seconds_start_at_the_known_mean():
    model = ranker()
    torch.nn.init.zeros_(model.watch_time.weight)
    torch.nn.init.zeros_(model.long_view.weight)
    model.start_at(12.5, 0.2)
    batch = ranker_inputs(encoded())
    assert model.expected_seconds(batch).tolist() == pytest.approx([12.5] * 3, rel=1e-5)
    assert model(batch)[1].sigmoid().tolist() == pytest.approx([0.2] * 3, rel=1e-5)
    with pytest.raises(ValueError, match="long-view rate"):
        model.start_at(12.5, 1.0)


def test_contributions_of_a_linear_ranker_are_weight_times_input():
    torch.manual_seed(1)
    model = ranker()
    model.trunk = torch.nn.Identity()
    width = model._inputs(ranker_inputs(encoded())).shape[1]
    model.watch_time = torch.nn.Linear(width, 1)
    values = np.random.default_rng(0).random((3, 3 * FEATURES)).astype(np.float32)
    weights = model.watch_time.weight.detach().numpy()[0, -3 * FEATURES :]
    by_hand = (weights * values).reshape(3, 3, FEATURES).sum(axis=1)
    with torch.inference_mode():  # as the server calls it
        batch = ranker_inputs(encoded(), continuous=values)
    assert model.contributions(batch).numpy() == pytest.approx(by_hand, abs=1e-6)


def test_contributions_work_inside_the_servers_inference_mode_and_leave_no_gradients():
    model = ranker()
    with torch.inference_mode():
        contributions = model.contributions(ranker_inputs(encoded()))
    assert contributions.shape == (3, FEATURES)
    assert all(parameter.grad is None for parameter in model.parameters())


def test_the_ranker_learns_watch_time_that_falls_with_impressions_and_long_views_beside_it():
    """Planted: 40, 20, 10 s an impression at the feature's levels 0, 0.3, 0.8; a long view only at level 0."""
    model = ranker()  # without dropout
    level = np.repeat(np.array([0.0, 0.3, 0.8], np.float32), 40)
    values = np.zeros((120, 3 * FEATURES), np.float32)
    values[:, 0], values[:, FEATURES], values[:, 2 * FEATURES] = level, level**2, np.sqrt(level)
    seconds = torch.tensor(np.select([level == 0, level < 0.5], [80.0, 40.0], 20.0), dtype=torch.float32)
    clicked = torch.arange(120) % 2 == 0  # half of the impressions
    batch = ranker_inputs(encoded(), rows=(1,) * 120, continuous=values)
    long_view = torch.tensor(level == 0, dtype=torch.float32)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
    for _ in range(250):
        logit, long_logit = model(batch)
        loss = weighted_logistic(logit, clicked, seconds)
        loss = loss + torch.nn.functional.binary_cross_entropy_with_logits(long_logit, long_view)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        assert model.expected_seconds(batch)[[0, 40, 80]].tolist() == pytest.approx([40, 20, 10], rel=0.1)
        assert (model(batch)[1] > 0).tolist() == (level == 0).tolist()
