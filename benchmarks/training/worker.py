"""A contender in a process of its own: a JSON line in asks for one thing, a JSON line out answers.

{"train": 20}    examples per second of the processor's time, over 20 steps
{"ask": "recall"} or {"ask": "bytes_an_id"}    a number
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

from benchmarks.training.watches import BATCH
from watchnext.errors import WatchnextError

ROOT = Path(__file__).parents[2]


class Contender(Protocol):
    """What is measured."""

    def train(self, steps: int) -> None: ...

    def recall(self) -> float: ...

    def bytes_an_id(self) -> float: ...


def serve(contender: Contender) -> None:
    """Answer until standard input ends; standard output is for the answers alone."""
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    for line in sys.stdin:
        asked = json.loads(line)
        if "train" in asked:
            began = time.process_time()
            contender.train(asked["train"])
            answer = asked["train"] * BATCH / (time.process_time() - began)
        else:
            answer = getattr(contender, asked["ask"])()
        print(json.dumps(answer), file=answers, flush=True)


class Worker:
    """The other side: starts a contender, and asks it."""

    def __init__(self, python: str | Path, module: str, videos: int, log: Path) -> None:
        paths = os.pathsep.join((str(ROOT), str(ROOT / "src")))
        variables = os.environ | {"PYTHONPATH": paths, "OMP_NUM_THREADS": "1", "TQDM_DISABLE": "1"}
        command: Sequence[str] = [str(python), "-W", "ignore", "-m", module, str(videos)]
        self._log = log
        with log.open("w") as errors:
            self._process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, env=variables, text=True
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        assert self._process.stdin
        with suppress(BrokenPipeError):  # it ended, with a question still to be read
            self._process.stdin.close()
        self._process.wait()

    def train(self, steps: int) -> float:
        return self._ask({"train": steps})

    def ask(self, name: str) -> float:
        return self._ask({"ask": name})

    def _ask(self, asked: dict[str, Any]) -> float:
        assert self._process.stdin
        assert self._process.stdout
        with suppress(BrokenPipeError):  # it has ended: there is no answer either
            print(json.dumps(asked), file=self._process.stdin, flush=True)
        line = self._process.stdout.readline()
        if not line:
            said = "\n".join(self._log.read_text().strip().splitlines()[-15:])
            raise WatchnextError(f"a contender ended when it was asked {asked}:\n{said}")
        return float(json.loads(line))
