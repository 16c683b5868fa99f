from collections import Counter

from watchnext.recommend.arms import arm_of

ARMS = {"control": 0.75, "deep": 0.25}


def test_a_user_keeps_the_arm():
    first = [arm_of(f"u{n}", experiment="towers", arms=ARMS) for n in range(50)]
    again = [arm_of(f"u{n}", experiment="towers", arms=dict(reversed(ARMS.items()))) for n in range(50)]
    assert first == again


def test_shares_are_kept():
    counts = Counter(arm_of(f"u{n}", experiment="towers", arms=ARMS) for n in range(8_000))
    assert set(counts) == {"control", "deep"}
    assert abs(counts["deep"] / 8_000 - 0.25) < 0.02  # four standard deviations of a fair draw


def test_shares_are_relative_to_their_sum():
    counts = Counter(arm_of(f"u{n}", experiment="x", arms={"a": 3, "b": 1}) for n in range(8_000))
    assert abs(counts["b"] / 8_000 - 0.25) < 0.02


def test_experiments_are_independent():
    both = Counter(
        (arm_of(f"u{n}", experiment="one", arms=ARMS), arm_of(f"u{n}", experiment="two", arms=ARMS))
        for n in range(8_000)
    )
    assert abs(both["deep", "deep"] / 8_000 - 0.0625) < 0.015


def test_no_experiment_no_arm():
    assert arm_of("u", experiment="", arms=ARMS) == ""
    assert arm_of("u", experiment="x", arms={}) == ""


def test_an_arm_without_share_gets_nobody():
    assert {arm_of(f"u{n}", experiment="x", arms={"a": 1, "z": 0}) for n in range(200)} == {"a"}
