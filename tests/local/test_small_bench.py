"""The small bench of `make test`: learning works, nothing leaks, and training costs little more than a plain loop."""

from benchmarks import small


def test_learning_works_and_costs_little_more_than_a_plain_loop():
    verdicts = small.run(seed=0)
    assert not small.failed(verdicts), verdicts
    assert len(verdicts) == 7
