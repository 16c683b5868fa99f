import numpy as np
import pytest
import torch

from watchnext.models.losses import sampled_softmax, weighted_logistic

VIDEOS = 6
SKEWED = torch.tensor([0.45, 0.3, 0.1, 0.08, 0.05, 0.02])


def problem():
    generator = torch.Generator().manual_seed(3)
    users = torch.randn(4, 5, generator=generator)
    videos = torch.randn(VIDEOS, 5, generator=generator)
    return users, videos, torch.tensor([0, 3, 5, 0])


def full_softmax(users, videos, positives):
    return torch.nn.functional.cross_entropy(users @ videos.T, positives)


def sampled(users, videos, positives, draws, log_q):
    return sampled_softmax(users, videos[positives], positives, videos[draws], draws, log_q)


def test_the_full_softmax_is_what_many_skewed_samples_estimate():
    users, videos, positives = problem()
    draws = torch.multinomial(SKEWED, 200_000, replacement=True, generator=torch.Generator().manual_seed(1))
    exact = full_softmax(users, videos, positives).item()
    assert sampled(users, videos, positives, draws, SKEWED[draws].log()) == pytest.approx(exact, rel=0.01)
    # the wrong sign, and no correction, are far off
    assert abs(sampled(users, videos, positives, draws, -SKEWED[draws].log()) - exact) > 0.5
    assert abs(sampled(users, videos, positives, draws, torch.full((200_000,), -np.log(VIDEOS))) - exact) > 0.05


def test_gradients_are_those_of_the_full_softmax_when_each_video_is_drawn_once():
    users, videos, positives = problem()
    exact_users = users.clone().requires_grad_()
    full_softmax(exact_users, videos, positives).backward()
    sampled_users = users.clone().requires_grad_()
    uniform = torch.full((VIDEOS,), -np.log(VIDEOS))
    sampled(sampled_users, videos, positives, torch.arange(VIDEOS), uniform).backward()
    assert torch.allclose(exact_users.grad, sampled_users.grad, atol=1e-6)


def test_a_video_that_is_drawn_often_weighs_less():
    user, positive = torch.ones(1, 1), torch.ones(1, 1)
    negative, ids = torch.ones(1, 1), torch.tensor([7])
    rare, often = (
        sampled_softmax(user, positive, torch.tensor([1]), negative, ids, torch.tensor([q]).log()) for q in (0.01, 0.5)
    )
    # by hand: the positive's logit is 1, the negative's 1 - log q
    assert rare == pytest.approx(np.log(1 + 1 / 0.01))
    assert often == pytest.approx(np.log(1 + 1 / 0.5))


def test_a_draw_of_a_video_that_the_user_knew_is_removed_for_that_user_alone():
    users, videos = torch.eye(2), torch.tensor([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
    draws = torch.tensor([2, 9, 2, 1])  # the videos of these rows have the vectors 1, 2, 1, 0 of the list above
    vectors = videos[torch.tensor([1, 2, 1, 0])]
    known = torch.tensor([[2, 0, 7], [0, 0, 0]])
    loss = sampled_softmax(users, videos[[0, 2]], torch.tensor([1, 9]), vectors, draws, torch.zeros(4), known)
    # by hand, with log n = log 4 off each negative: the first user (1, 0) keeps the draw 9 alone, for 2 is known and 1
    # is the positive; the second (0, 1) keeps 2, 2 and 1, for 9 is the positive
    first = np.log(np.exp(1) + np.exp(5) / 4) - 1
    second = np.log(np.exp(6) + (np.exp(4) + np.exp(4) + np.exp(2)) / 4) - 6
    assert loss.item() == pytest.approx((first + second) / 2)


def test_training_on_skewed_samples_finds_the_distribution_of_the_labels():
    labels = torch.tensor([0.1, 0.1, 0.2, 0.1, 0.2, 0.3])
    generator = torch.Generator().manual_seed(4)
    logits = torch.zeros(VIDEOS, 1, requires_grad=True)
    optimizer = torch.optim.Adam([logits], lr=0.05)
    for step in range(400):
        if step == 250:
            optimizer.param_groups[0]["lr"] = 0.005
        positives = torch.multinomial(labels, 256, replacement=True, generator=generator)
        draws = torch.multinomial(SKEWED, 256, replacement=True, generator=generator)
        loss = sampled(torch.ones(256, 1), logits, positives, draws, SKEWED[draws].log())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert logits.detach().squeeze(1).softmax(0).tolist() == pytest.approx(labels.tolist(), abs=0.03)


def test_accidental_hits_are_removed():
    users, videos, _ = problem()
    users, positives = users[:1], torch.tensor([2])
    draws = torch.tensor([2, 4, 2, 5])
    without = torch.tensor([4, 5])
    log_q = torch.tensor([0.25] * 4).log()
    logits = torch.cat([users @ videos[2], users @ videos[without].T[:, 0], users @ videos[without].T[:, 1]])
    logits = logits - torch.tensor([0.0, np.log(4 * 0.25), np.log(4 * 0.25)])
    expected = torch.logsumexp(logits, 0) - logits[0]
    assert sampled(users, videos, positives, draws, log_q) == pytest.approx(expected.item(), rel=1e-5)


def test_only_hits_give_no_loss_and_no_gradient():
    user = torch.ones(1, 2, requires_grad=True)
    loss = sampled_softmax(
        user, torch.ones(1, 2), torch.tensor([5]), torch.ones(2, 2), torch.tensor([5, 5]), torch.zeros(2)
    )
    loss.backward()
    assert loss.item() == 0
    assert user.grad.tolist() == [[0, 0]]


# ten impressions, four clicked, with these seconds: ΣT = 100
CLICKED = torch.tensor([1, 1, 1, 1, 0, 0, 0, 0, 0, 0])
SECONDS = torch.tensor([10.0, 20.0, 30.0, 40.0, 0.0, 0.0, 99.0, 0.0, 0.0, 0.0])  # 99 s without a click count nothing


@pytest.mark.parametrize(("weighting", "seconds"), [("expected", 100 / 10), ("paper", 100 / (10 - 4))])
def test_e_to_the_logit_is_the_closed_form(weighting, seconds):
    logit = torch.zeros(1, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS([logit], max_iter=100, tolerance_grad=1e-10)

    def closure():
        optimizer.zero_grad()
        loss = weighted_logistic(logit.expand(10), CLICKED, SECONDS, weighting)
        loss.backward()
        return loss

    optimizer.step(closure)
    assert logit.exp().item() == pytest.approx(seconds, rel=1e-4)


@pytest.mark.parametrize("weighting", ["expected", "paper"])
def test_loss_by_hand(weighting):
    logit = torch.tensor([np.log(3.0), np.log(3.0)])  # σ = 3/4
    loss = weighted_logistic(logit, torch.tensor([1, 0]), torch.tensor([2.0, 5.0]), weighting)
    negatives = 2 if weighting == "expected" else 1
    assert loss == pytest.approx((-2 * np.log(0.75) - negatives * np.log(0.25)) / 2)
