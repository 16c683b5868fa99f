"""How a peer's parameters are chosen, and the record that is kept of it.

A peer answers with an iterator: one answer, or one after each so many epochs or trees. All combinations of its grid are
tried on validation data; the combination and the number of the answer that were best there are used for the test.
"""

import hashlib
import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from itertools import islice, product
from pathlib import Path
from typing import Any, Final, TypeVar

Parameters = dict[str, Any]
Answer = TypeVar("Answer")

SEEDS: Final = (1, 2, 3)
PATIENCE: Final = 2  # answers in a row that are no better, after which a combination is left


@dataclass(frozen=True)
class Trial:
    """One answer on the validation data; more is better."""

    parameters: Parameters
    answer: int  # 0 is the first that the iterator gave
    value: float
    seconds: float


def grid(**choices: list[Any]) -> tuple[Parameters, ...]:
    """Every combination.

    >>> grid(a=[1, 2], b=[3])
    ({'a': 1, 'b': 3}, {'a': 2, 'b': 3})
    """
    return tuple(dict(zip(choices, values, strict=True)) for values in product(*choices.values()))


def try_all(
    combinations: Sequence[Parameters],
    answers: Callable[[Parameters], Iterator[Answer]],
    value: Callable[[Answer], float],
) -> list[Trial]:
    """A trial of each answer of each combination."""
    trials = []
    for parameters in combinations:
        started, best, worse = time.monotonic(), float("-inf"), 0
        for number, answer in enumerate(answers(parameters)):
            reached = value(answer)
            trials.append(Trial(parameters, number, reached, round(time.monotonic() - started, 1)))
            best, worse = max(best, reached), 0 if reached > best else worse + 1
            if worse == PATIENCE:
                break
    return trials


def best_of(trials: Sequence[Trial]) -> Trial:
    """The first of the best."""
    return max(trials, key=lambda trial: trial.value)


def answer_like(chosen: Trial, answers: Callable[[Parameters], Iterator[Answer]]) -> tuple[Answer, float]:
    """The answer with the chosen parameters and number, and the seconds it took."""
    started = time.monotonic()
    answer = next(islice(answers(chosen.parameters), chosen.answer, None))
    return answer, round(time.monotonic() - started, 1)


@dataclass(frozen=True)
class Record:
    """`<peer>.json`: what the answers beside it came from."""

    path: Path
    key: str

    @classmethod
    def of(cls, folder: Path, name: str, packages: Sequence[str], decides: Any) -> "Record":
        """`decides`: all that the answers depend on, beside the packages; JSON."""
        text = json.dumps([[version(package) for package in packages], decides])
        return cls(folder / f"{name}.json", hashlib.sha256(text.encode()).hexdigest())

    @property
    def current(self) -> bool:
        """Is it there, and of the same data, parameters and packages?"""
        return self.path.is_file() and json.loads(self.path.read_text())["key"] == self.key

    def write(self, packages: Sequence[str], measure: str, trials: Sequence[Trial], seconds: dict[int, float]) -> None:
        """Written last, so that a run that was cut off is run again."""
        said = {
            "peer": self.path.stem,
            "key": self.key,
            "packages": {package: version(package) for package in packages},
            "chosen by": f"{measure} on the validation data",
            "chosen": asdict(best_of(trials)),
            "seconds": seconds,  # seed to fitting and answering, on one thread
            "tried": [asdict(trial) for trial in trials],
        }
        self.path.write_text(json.dumps(said, indent=2) + "\n")
