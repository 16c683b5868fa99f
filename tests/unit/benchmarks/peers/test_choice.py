import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.peers.choice import Record, Trial, answer_like, best_of, grid, tried

CURVES = {"a": [0.1, 0.4, 0.3, 0.4, 0.9], "b": [0.2, 0.3, 0.5]}


def answers(parameters: dict[str, Any]) -> Iterator[float]:
    yield from CURVES[parameters["curve"]]


def try_all(*curves: str) -> list[Trial]:
    return [trial for one in grid(curve=list(curves)) for trial in tried(one, [answers(one)], lambda answer: answer)]


def test_the_best_answer_is_chosen_and_a_curve_that_no_longer_rises_is_left() -> None:
    trials = try_all("a", "b")
    came = [(trial.parameters["curve"], trial.answer, trial.value) for trial in trials]

    # After 0.4 two answers were no better, so 0.9 is never reached.
    assert came == [("a", 0, 0.1), ("a", 1, 0.4), ("a", 2, 0.3), ("a", 3, 0.4), ("b", 0, 0.2), ("b", 1, 0.3),
                     ("b", 2, 0.5)]  # fmt: skip
    chosen = best_of(trials)
    assert (chosen.parameters, chosen.answer) == ({"curve": "b"}, 2)
    assert answer_like(chosen, answers)[0] == 0.5


def test_several_seeds_choose_by_their_mean_and_none_answers_past_the_others_end() -> None:
    of_seeds = [iter([0.2, 0.6, 0.4, 0.3, 0.9]), iter([0.4, 0.0, 0.3, 0.3, 0.9])]
    trials = list(tried({}, of_seeds, lambda answer: answer))
    assert [round(trial.value, 6) for trial in trials] == [0.3, 0.3, 0.35, 0.3, 0.9]
    assert next(of_seeds[0], None) is None


def test_of_equals_the_first_is_chosen() -> None:
    trials = [Trial({}, number, value, 1.0) for number, value in enumerate([0.0, 1.0, 1.0])]

    assert best_of(trials).answer == 1


def test_a_training_that_diverged_is_never_chosen() -> None:
    trials = [Trial({}, number, value, 1.0) for number, value in enumerate([float("nan"), 0.1, float("nan")])]

    assert best_of(trials).answer == 1


def test_a_record_holds_until_the_data_or_the_parameters_change(tmp_path: Path) -> None:
    trials = try_all("b")
    record = Record.of(tmp_path, "peer", ["numpy"], "recall@50", ["data", trials[0].parameters])
    assert not record.has_tried({"curve": "b"})
    record.trials, record.seconds = trials, {1: 0.2}
    record.write()

    again = Record.of(tmp_path, "peer", ["numpy"], "recall@50", ["data", trials[0].parameters])
    assert (again.trials, again.seconds) == (trials, {1: 0.2})
    assert again.has_tried({"curve": "b"})
    assert not again.has_tried({"curve": "a"})
    assert not Record.of(tmp_path, "peer", ["numpy"], "recall@50", ["other data", trials[0].parameters]).trials
    said = json.loads((tmp_path / "peer.json").read_text())
    assert said["chosen"]["value"] == 0.5
    assert said["chosen by"] == "recall@50 on the validation data"
    assert [trial["value"] for trial in said["tried"]] == [0.2, 0.3, 0.5]
