"""How a contender answers: parameters chosen on the validation split, then lists of the test split, a file a seed."""

import json
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from benchmarks.peers.choice import SEEDS, Parameters, Record, answer_like, best_of, try_all
from benchmarks.peers.lists import Rows
from benchmarks.quality.split_files import DESCRIPTION, Split, lists_of, read_split
from watchnext.evaluation.retrieval import hits_of

DEPTH = 50  # of the measure that chooses

Lists = Callable[[Split, Parameters, int], Iterator[Rows]]  # of a seed: one answer, or one after each so many epochs


def compete(
    name: str,
    lists: Lists,
    grid: Sequence[Parameters],
    seeds: Sequence[int],
    *,
    valid: Path,
    test: Path,
    out: Path,
    packages: Sequence[str] = (),
    measure: str = "recall",
    depends_on: Sequence[str] = (),
) -> None:
    """Write `<name>-seed<n>.npz` and the record `<name>.json` to `out`, where those of the same are not there.

    Args:
        name: of the contender.
        lists: what it answers.
        grid: the parameters to choose from.
        seeds: one list of the test each; the first of `SEEDS` chooses.
        valid: folder of the validation split.
        test: folder of the test split.
        out: where the files go.
        packages: whose versions the answers depend on.
        measure: of `evaluation.retrieval.Hits`, that chooses.
        depends_on: what else the answers depend on, beside splits, grid and seeds.
    """
    files = [json.loads((folder / DESCRIPTION).read_text())["files"] for folder in (valid, test)]
    record = Record.of(out, name, packages, [files, grid, seeds, *depends_on])
    if record.current:
        return
    known, asked = read_split(valid), read_split(test)
    targets = lists_of(known.queries["targets"])
    trials = try_all(
        grid,
        lambda parameters: lists(known, parameters, SEEDS[0]),
        lambda ranked: float(getattr(hits_of(ranked, targets), measure)(DEPTH).mean()),
    )
    seconds = {}
    for seed in seeds:
        ranked, seconds[seed] = answer_like(best_of(trials), partial(lists, asked, seed=seed))
        np.savez_compressed(out / f"{name}-seed{seed}.npz", ranked=ranked)
    record.write(packages, f"{measure}@{DEPTH}", trials, seconds)
