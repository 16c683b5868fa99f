"""The curve against its closed form: a sum of waves of the days since upload."""

import math

import pytest
import torch

from watchnext.models.upload_curve import GAIN, HORIZON_DAYS, PERIODS, WIDTH, UploadCurve


@pytest.fixture
def curve() -> UploadCurve:
    torch.manual_seed(0)
    made = UploadCurve()
    with torch.no_grad():
        made.cosines.normal_()
        made.sines.normal_()
    return made


def test_the_inner_product_is_a_curve_of_the_days_since_upload(curve):
    example_age, to_the_end = torch.tensor([0.0, 3.25, 20.0]), torch.tensor([0.0, 1.5, 30.0, 200.0])
    found = curve.of_users(example_age) @ curve.of_videos(to_the_end).T
    for user, d in enumerate(example_age.tolist()):
        for video, t in enumerate(to_the_end.tolist()):
            angles = [2 * math.pi * (t - d) / period for period in PERIODS]
            waves = zip(curve.cosines.tolist(), curve.sines.tolist(), angles, strict=True)
            by_hand = GAIN * sum(a * math.cos(angle) + b * math.sin(angle) for a, b, angle in waves)
            assert found[user, video].item() == pytest.approx(by_hand, abs=1e-3)


def test_it_is_flat_before_the_first_step():
    made = UploadCurve()
    assert not (made.of_users(torch.arange(9.0)) @ made.of_videos(torch.arange(9.0)).T).any()
    assert made.of_users(torch.zeros(2)).shape == made.of_videos(torch.zeros(2)).shape == (2, WIDTH)


def test_uploads_after_the_end_are_new_at_its_end_and_the_oldest_are_of_one_age(curve):
    parts = curve.of_videos(torch.tensor([-3.0, 0.0, HORIZON_DAYS, 10 * HORIZON_DAYS]))
    assert torch.equal(parts[0], parts[1])
    assert torch.equal(parts[2], parts[3])
    assert not torch.equal(parts[1], parts[2])


def test_it_learns_that_nobody_watches_before_an_upload_and_most_soon_after():
    """Softmax over videos that differ in nothing but their upload, at example ages of three weeks."""
    torch.manual_seed(0)
    uploaded = torch.arange(0, 30, 0.5)  # days to the end
    example_age = torch.rand(4_000) * 20
    since = uploaded - example_age[:, None]
    watched = torch.multinomial(torch.where(since > 0, (-since / 3).exp() + 0.02, 0), 1).squeeze(1)
    made = UploadCurve()
    optimiser = torch.optim.Adam(made.parameters(), lr=0.01)
    for _ in range(200):
        optimiser.zero_grad()
        logits = made.of_users(example_age) @ made.of_videos(uploaded).T
        torch.nn.functional.cross_entropy(logits, watched).backward()
        optimiser.step()
    with torch.inference_mode():
        asked = made.of_users(torch.tensor([10.0])) @ made.of_videos(10 + torch.tensor([-3.0, 1.0, 12.0])).T
    before, soon, late = asked[0].exp().tolist()
    assert before < 0.1 * soon
    assert late == pytest.approx(soon * (math.exp(-12 / 3) + 0.02) / (math.exp(-1 / 3) + 0.02), rel=1.0)
    assert late < 0.2 * soon
