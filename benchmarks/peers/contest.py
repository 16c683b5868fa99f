"""How a contender answers: parameters chosen on the validation split, then the test split, a file a seed."""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.peers.choice import SEEDS, Parameters, Record, answer_like, best_of, tried
from benchmarks.quality.split_files import DESCRIPTION, Split, lists_of, read_split
from watchnext.evaluation.retrieval import hits_of

DEPTH = 50  # of the measure that chooses among ranked lists

Answer = NDArray[Any]
Answers = Callable[[Split, Parameters, int], Iterator[Answer]]  # of a seed: one, or one after each so many epochs


@dataclass(frozen=True)
class Task:
    """What is asked of a split, and what decides between answers."""

    array: str  # name of the answer in its file
    measure: str
    value: Callable[[Split, Answer], float]  # more is better
    choosing: tuple[int, ...] = SEEDS[:1]  # the seeds whose mean decides; all of them where a training takes seconds


def retrieval_task(measure: str = "recall") -> Task:
    """Ranked lists to the split's queries; `measure` is one of `evaluation.retrieval.Hits`."""

    def value(split: Split, ranked: Answer) -> float:
        hits = hits_of(ranked, lists_of(split.queries["targets"]))
        return float(getattr(hits, measure)(DEPTH).mean())

    return Task("ranked", f"{measure}@{DEPTH}", value)


def compete(
    name: str,
    answers: Answers,
    grid: Sequence[Parameters],
    seeds: Sequence[int],
    *,
    task: Task,
    valid: Path,
    test: Path,
    out: Path,
    packages: Sequence[str] = (),
    depends_on: Sequence[str] = (),
) -> None:
    """Write `<name>-seed<n>.npz` and the record `<name>.json` to `out`, what is not there of the same.

    Answers of another record leave. Each combination and each seed is kept as it ends.

    Args:
        name: of the contender.
        answers: what it answers.
        grid: the parameters to choose from.
        seeds: one answer to the test each; those of `task.choosing` answer the validation split too.
        task: what is asked.
        valid: folder of the validation split.
        test: folder of the test split.
        out: where the files go.
        packages: whose versions the answers depend on.
        depends_on: what else the answers depend on, beside splits, grid and seeds.
    """
    files = [json.loads((folder / DESCRIPTION).read_text())["files"] for folder in (valid, test)]
    choosing = [seed for seed in seeds if seed in task.choosing]
    record = Record.of(out, name, packages, task.measure, [files, grid, seeds, choosing, *depends_on])
    kept = {f"{name}-seed{seed}.npz" for seed in record.seconds}
    for path in out.glob(f"{name}-seed*.npz"):  # the report reads all that are there
        if path.name not in kept:
            path.unlink()
    untried = [parameters for parameters in grid if not record.has_tried(parameters)]
    unanswered = [seed for seed in seeds if seed not in record.seconds]
    if not (untried or unanswered):
        return
    known, asked = read_split(valid), read_split(test)
    for parameters in untried:
        record.trials += tried(
            parameters,
            [answers(known, parameters, seed) for seed in choosing],
            lambda answer: task.value(known, answer),
        )
        record.write()
    for seed in unanswered:

        def of_seed(parameters: Parameters, seed: int = seed) -> Iterator[Answer]:
            return answers(asked, parameters, seed)

        answer, record.seconds[seed] = answer_like(best_of(record.trials), of_seed)
        arrays: dict[str, Any] = {task.array: answer}
        np.savez_compressed(out / f"{name}-seed{seed}.npz", **arrays)
        record.write()


def read_answers(folder: Path, name: str, array: str) -> list[Answer]:
    """The answers that `compete` left in `folder`, one a seed; the folder may hold those of others too."""
    found = []
    for path in sorted(folder.glob(f"{name}-seed*.npz")):
        with np.load(path) as arrays:
            found.append(arrays[array])
    return found
