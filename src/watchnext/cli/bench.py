"""`watchnext bench serving | stream | quality | training | small`: measure against the bars of docs/benchmarks.md.

Everything is measured side by side. The benchmarks speak to Kafka, Feast and Redis directly, which the package may not,
and the peers have an environment of their own: they run as modules outside of the package.
"""

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

from watchnext.cli.output import JsonFlag
from watchnext.errors import PrerequisiteError, UsageError

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    help="Measure, side by side, against the bars of docs/benchmarks.md; exits 1 where one is missed.",
)
Rounds = Annotated[int, typer.Option(min=3, max=100, help="Counted rounds of each comparison.")]


@app.command()
def serving(rounds: Rounds = 9, json: JsonFlag = False) -> None:
    """What an answer costs; wants a running stack with a generation."""
    _run("serving", ["--rounds", str(rounds)], json)


@app.command()
def stream(rounds: Rounds = 9, json: JsonFlag = False) -> None:
    """What an event costs, and how soon an answer knows of it."""
    _run("stream", ["--rounds", str(rounds)], json)


@app.command()
def quality(
    data: Annotated[str, typer.Option(help="kuairand or movielens-1m.")],
    path: Annotated[Path | None, typer.Option(help="Folder of the data; else it is looked for or fetched.")] = None,
    part: Annotated[str, typer.Option(help="retrieval or ranking alone.")] = "",
    json: JsonFlag = False,
) -> None:
    """How well the models recommend, beside the peers on the same split; writes benchmarks/reports."""
    chosen = {"--data": data, "--path": str(path or ""), "--part": part}
    _run("quality", [word for option, value in chosen.items() if value for word in (option, value)], json)


@app.command()
def training(rounds: Rounds = 5, json: JsonFlag = False) -> None:
    """How fast the towers train, beside the peers."""
    _run("training", ["--rounds", str(rounds)], json)


@app.command()
def small(json: JsonFlag = False) -> None:
    """Whether learning still works, within two minutes, and what it costs beside a plain loop; part of `make test`."""
    _run("small", [], json)


def _run(module: str, options: list[str], json: bool) -> None:
    if find_spec("benchmarks") is None:
        raise PrerequisiteError(
            "the benchmarks are not in this installation: run `watchnext bench` in a checkout's `.venv`"
        )
    command = [sys.executable, "-W", "ignore", "-m", f"benchmarks.{module}", *options]
    done = subprocess.run([*command, *(["--json"] if json else [])], check=False)
    if done.returncode == UsageError.exit_code:
        raise typer.Exit(UsageError.exit_code)
    if done.returncode:
        raise typer.Exit(1)
