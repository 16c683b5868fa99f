"""`watchnext bench training`: how fast the towers train at 10 k, 100 k and 1 M ids, beside torch-rechub's YoutubeDNN.

Both have the same watches, batch, width, layers, negatives an example and one thread. Figures are examples a second of
the processor's time, so that a busy machine slows nobody down but by its caches. And what reading from files costs.
"""

import argparse
import sys
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Final

import torch

from benchmarks.loader import loader_verdicts
from benchmarks.peers.environment import make_environment
from benchmarks.report import report
from benchmarks.rounds import Measured, Verdict, interleave
from benchmarks.training.watches import BATCH, DEPTH, NEGATIVES, WIDTH
from benchmarks.training.worker import Worker
from watchnext.cli.main import log_to_standard_error
from watchnext.cli.output import note
from watchnext.errors import WatchnextError
from watchnext.settings import load_settings

OURS, PEER = "ours", "torch-rechub"
SMALL, MIDDLE, LARGE = 10_000, 100_000, 1_000_000
STEPS: Final = {(OURS, SMALL): 20, (OURS, MIDDLE): 20, (OURS, LARGE): 20, (PEER, MIDDLE): 6, (PEER, LARGE): 2}
LEARNING_STEPS: Final = 600  # before the lists are compared

Start = Callable[[str, int], Worker]


def speed(start: Start, rounds: int) -> list[Verdict]:
    """Examples a second, in turn."""
    with ExitStack() as stack:
        workers = {
            asked: stack.enter_context(start(*asked)) for asked in sorted(STEPS, key=lambda one: one[1] != MIDDLE)
        }
        runs = {_name(*asked): partial(worker.train, STEPS[asked]) for asked, worker in workers.items()}
        measured = interleave(runs, rounds=rounds, title="examples a second")
        memory = {who: workers[who, LARGE].ask("bytes_an_id") for who in (OURS, PEER)}
    return [
        _over_peer(measured, MIDDLE, ">= 1.5"),
        _over_peer(measured, LARGE, ">= 15"),
        _ratio(measured, (OURS, LARGE), (OURS, SMALL), ">= 0.5"),
        Verdict(
            "bytes an id in training, weights included",
            memory[OURS],
            f"<= {4 * (WIDTH + 1)}",
            {PEER: f"{memory[PEER]:.0f}, with its dense gradient"},
        ),
    ]


def recall(start: Start) -> Verdict:
    """Both learn from the same examples, and are asked for the next watch."""
    found = {}
    for who in (OURS, PEER):
        note(f"recall: {who} learns for {LEARNING_STEPS} steps")
        with start(who, SMALL) as worker:
            worker.train(LEARNING_STEPS)
            found[who] = worker.ask("recall")
    raw = {who: round(value, 4) for who, value in found.items()}
    return Verdict(f"recall@{DEPTH}, {SMALL:,} ids", found[OURS] / found[PEER], ">= 0.98", raw)


def _name(who: str, videos: int) -> str:
    return f"{who}, {videos:,} ids"


def _over_peer(measured: Measured, videos: int, wanted: str) -> Verdict:
    return _ratio(measured, (OURS, videos), (PEER, videos), wanted)


def _ratio(measured: Measured, of: tuple[str, int], over: tuple[str, int], wanted: str) -> Verdict:
    names = [_name(*one) for one in (of, over)]
    raw = {f"{name}, examples/s": round(measured.median(name)) for name in names}
    value = measured.ratio(names[1], of=names[0])
    return Verdict(f"{names[0]} / {names[1]}", value, wanted, raw, measured.control)


def main() -> int:
    parser = argparse.ArgumentParser(prog="watchnext bench training")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    log_to_standard_error()
    torch.set_num_threads(1)
    try:
        peers = make_environment(load_settings().home)
        with tempfile.TemporaryDirectory() as scratch:

            def start(who: str, videos: int) -> Worker:
                python, module = (sys.executable, "ours") if who == OURS else (peers, "peer")
                return Worker(python, f"benchmarks.training.{module}", videos, Path(scratch) / f"{module}-{videos}.log")

            verdicts = [*speed(start, given.rounds), recall(start)]
        verdicts += loader_verdicts(given.rounds)
    except WatchnextError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    task = {"batch": BATCH, "width": WIDTH, "negatives an example": NEGATIVES, "threads": 1}
    return report(verdicts, task, as_json=given.json)


if __name__ == "__main__":
    sys.exit(main())
