import itertools

from benchmarks.rounds import CONTROL, Verdict, interleave


def test_every_contender_runs_once_a_round_and_the_subject_twice():
    calls: list[str] = []

    def contender(name: str, seconds: float):
        def run() -> float:
            calls.append(name)
            return seconds

        return run

    measured = interleave(
        {"ours": contender("ours", 2.0), "theirs": contender("theirs", 8.0)}, rounds=3, title="a bench"
    )

    assert calls.count("ours") == 2 * (3 + 1)
    assert calls.count("theirs") == 3 + 1
    assert measured.ratio("theirs") == 0.25
    assert measured.figures[CONTROL] == [2.0, 2.0, 2.0]
    assert not measured.void


def test_no_contender_always_runs_behind_the_same_one():
    """Behind its own control, which had just filled the caches for it, the subject was a tenth faster than that."""
    calls: list[str] = []
    contenders = {name: lambda name=name: float(len(calls.append(name) or calls)) for name in "abcde"}

    interleave(contenders, rounds=5, title="a bench")

    before = {one: {calls[at - 1] for at in range(7, len(calls)) if calls[at] == one} for one in "abcde"}
    assert min(map(len, before.values())) > 1, before


def test_a_control_that_drifts_voids_the_run():
    ticks = itertools.count(1)
    measured = interleave({"ours": lambda: float(2 ** next(ticks)), "theirs": lambda: 1.0}, rounds=3, title="a bench")

    assert measured.void


def test_a_verdict_is_met_missed_or_void():
    assert Verdict("a", 3.9, "<= 4").outcome == "met"
    assert Verdict("a", 4.1, "<= 4").outcome == "missed"
    assert Verdict("a", 15, ">= 15").outcome == "met"
    assert Verdict("a", 20, ">= 15", control=1.2).outcome == "void"
    assert Verdict("a", 20, ">= 15", spoilt="under half the load").outcome == "missed"
    assert Verdict("a", 20, ">= 15", control=1.2, spoilt="under half the load").outcome == "void"
