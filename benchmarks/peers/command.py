"""The peers' programs: each of the asked peers competes, on the split files that are named."""

import argparse
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.peers.choice import SEEDS, Parameters
from benchmarks.peers.contest import Answers, Task, compete


@dataclass(frozen=True)
class Peer:
    """A contender."""

    answers: Answers
    task: Task
    packages: tuple[str, ...]
    grid: tuple[Parameters, ...]
    seeds: tuple[int, ...] = SEEDS[:1]


def run(peers: Mapping[str, Peer], description: str | None, depends_on: Sequence[str] = ()) -> None:
    """The command line; a peer whose splits, grid, packages and `depends_on` are its record's is not run again.

    The last line of standard output is the asked peers' names, JSON: nobody without their libraries can read `peers`.
    """
    options = argparse.ArgumentParser(description=description)
    for folder in ("valid", "test", "out"):
        options.add_argument(f"--{folder}", type=Path, required=True)
    options.add_argument("--peers", nargs="+", choices=list(peers), default=list(peers))
    asked = options.parse_args()
    asked.out.mkdir(parents=True, exist_ok=True)
    for name in asked.peers:
        peer = peers[name]
        compete(
            name,
            peer.answers,
            peer.grid,
            peer.seeds,
            task=peer.task,
            valid=asked.valid,
            test=asked.test,
            out=asked.out,
            packages=peer.packages,
            depends_on=depends_on,
        )
    print(json.dumps(asked.peers))
