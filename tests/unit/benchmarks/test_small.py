import pytest

from benchmarks import small
from benchmarks.rounds import CONTROL, Measured, Verdict


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> list[Measured]:
    """What the next comparisons give, in turn."""
    coming: list[Measured] = []
    monkeypatch.setattr(small, "plain_loop", lambda world: None)
    monkeypatch.setattr(small, "interleave", lambda *_, **__: coming.pop(0))
    return coming


def seconds(ours: float, plain: float, control: float) -> Measured:
    return Measured({"ours": [ours], "plain loop": [plain], CONTROL: [control]}, "ours")


def test_an_unsteady_control_is_repeated_twice_and_then_no_failure(measured):
    measured += [seconds(6.0, 1.0, 9.0)] * 4
    verdict = small.cost(None)
    assert len(measured) == 1, "tried three times"
    assert verdict.outcome == "void"
    assert not small.failed([verdict])


def test_a_steady_control_ends_it_and_five_times_the_plain_loop_is_a_failure(measured):
    measured += [seconds(6.0, 1.0, 9.0), seconds(5.1, 1.0, 5.2), seconds(1.0, 1.0, 1.0)]
    verdict = small.cost(None)
    assert len(measured) == 1
    assert (verdict.value, verdict.outcome) == (pytest.approx(5.1), "missed")
    assert small.failed([Verdict("other", 1.0, ">= 0"), verdict])
