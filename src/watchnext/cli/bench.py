"""`watchnext bench serving | stream`: measure, side by side and interleaved, against the bars of docs/benchmarks.md.

The benchmarks speak to Kafka, Feast and Redis directly, which the package may not: they run as modules of their own.
"""

import subprocess
import sys
from enum import StrEnum
from importlib.util import find_spec
from typing import Annotated

import typer

from watchnext.cli.output import JsonFlag
from watchnext.errors import PrerequisiteError, UsageError

app = typer.Typer()


class Bench(StrEnum):
    """The benchmarks that there are."""

    SERVING = "serving"
    STREAM = "stream"


@app.command()
def bench(
    which: Annotated[Bench, typer.Argument(help="serving (wants a stack with a generation) or stream.")],
    rounds: Annotated[int, typer.Option(min=3, max=100, help="Counted rounds of each comparison.")] = 9,
    json: JsonFlag = False,
) -> None:
    """Ratios beside raw figures; exits 1 where a bar is missed or the control was unsteady."""
    if find_spec("benchmarks") is None:
        raise PrerequisiteError(
            "the benchmarks are not in this installation: run `watchnext bench` in a checkout's `.venv`"
        )
    command = [sys.executable, "-W", "ignore", "-m", f"benchmarks.{which.value}", "--rounds", str(rounds)]
    done = subprocess.run([*command, *(["--json"] if json else [])], check=False)
    if done.returncode == UsageError.exit_code:
        raise typer.Exit(UsageError.exit_code)
    if done.returncode:
        raise typer.Exit(1)
