"""How a peer's parameters are chosen, and the record that is kept of it.

A peer answers with an iterator: one answer, or one after each so many epochs or trees. All combinations of its grid are
tried on validation data; the combination and the number of the answer that were best there are used for the test.
"""

import hashlib
import json
import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from itertools import islice, product
from pathlib import Path
from statistics import fmean
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


def tried(
    parameters: Parameters, answers: Sequence[Iterator[Answer]], value: Callable[[Answer], float]
) -> Iterator[Trial]:
    """A trial of each answer of a combination, until they get no better: the mean value of those of all seeds.

    `answers` are those of each seed.
    """
    started, best, worse = time.monotonic(), float("-inf"), 0
    for number, of_seeds in enumerate(zip(*answers, strict=True)):
        reached = fmean(map(value, of_seeds))
        yield Trial(parameters, number, reached, round(time.monotonic() - started, 1))
        best, worse = max(best, reached), 0 if reached > best else worse + 1
        if worse == PATIENCE:
            break


def best_of(trials: Sequence[Trial]) -> Trial:
    """The first of the best; a training that diverged, whose value is NaN, is the worst."""
    return max(trials, key=lambda trial: -math.inf if math.isnan(trial.value) else trial.value)


def answer_like(chosen: Trial, answers: Callable[[Parameters], Iterator[Answer]]) -> tuple[Answer, float]:
    """The answer with the chosen parameters and number, and the seconds it took."""
    started = time.monotonic()
    answer = next(islice(answers(chosen.parameters), chosen.answer, None))
    return answer, round(time.monotonic() - started, 1)


@dataclass
class Record:
    """`<peer>.json`: what the answers beside it came from. A run that was cut off goes on from it."""

    path: Path
    key: str
    packages: dict[str, str]
    measure: str
    trials: list[Trial] = field(default_factory=list)
    seconds: dict[int, float] = field(default_factory=dict)  # seed to fitting and answering, on one thread

    @classmethod
    def of(cls, folder: Path, name: str, packages: Sequence[str], measure: str, decides: Any) -> "Record":
        """What is there of the same data, parameters and packages, or nothing yet.

        `decides`: all that the answers depend on, beside the packages; JSON.
        """
        versions = {package: version(package) for package in packages}
        key = hashlib.sha256(json.dumps([list(versions.values()), decides]).encode()).hexdigest()
        record = cls(folder / f"{name}.json", key, versions, measure)
        if record.path.is_file() and (said := json.loads(record.path.read_text()))["key"] == key:
            record.trials = [Trial(**trial) for trial in said["tried"]]
            record.seconds = {int(seed): seconds for seed, seconds in said["seconds"].items()}
        return record

    def has_tried(self, parameters: Parameters) -> bool:
        """Are there trials of this combination?"""
        return any(trial.parameters == parameters for trial in self.trials)

    def write(self) -> None:
        """Keep what is known, whole or as it was before."""
        said = {
            "peer": self.path.stem,
            "key": self.key,
            "packages": self.packages,
            "chosen by": f"{self.measure} on the validation data",
            "chosen": asdict(best_of(self.trials)),
            "seconds": self.seconds,
            "tried": [asdict(trial) for trial in self.trials],
        }
        aside = self.path.with_suffix(".tmp")
        aside.write_text(json.dumps(said, indent=2) + "\n")
        aside.replace(self.path)
