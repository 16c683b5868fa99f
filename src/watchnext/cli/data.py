"""`watchnext data list | show NAME`: what there is, what is in it, and what of it is derived."""

from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from watchnext.cli.output import JsonFlag, next_step, note, print_json, print_table, say
from watchnext.clock import SystemClock
from watchnext.settings import load_settings

app = typer.Typer(help="The data sets: what there is, what is in one, and what of it is derived.", no_args_is_help=True)

PathOption = Annotated[Path | None, typer.Option(help="Folder of its files, where it is not fetched.")]
UsersOption = Annotated[
    int,
    typer.Option(
        min=0,
        max=1_000_000,
        help="Keep the first so many users by hash; the simulator makes so many. 0: all, or its own.",
    ),
]
DaysOption = Annotated[int, typer.Option(min=1, max=3_650, help="Length of the simulator's past.")]


@app.command("list")
def list_datasets(as_json: JsonFlag = False) -> None:
    """Name the data sets."""
    from watchnext.data import DATASETS

    if as_json:
        print_json(DATASETS)
        return
    print_table(("NAME", "WHAT"), DATASETS.items())
    next_step("watchnext data show NAME")


@app.command()
def show(
    name: Annotated[str, typer.Argument(help="One of `watchnext data list`.")],
    path: PathOption = None,
    users: UsersOption = 0,
    days: DaysOption = 30,
    as_json: JsonFlag = False,
) -> None:
    """Read a data set and describe it."""
    from watchnext.data import open_dataset

    note(f"reading {name}")
    found = open_dataset(name, path, load_settings(), clock=SystemClock(), users=users, days=days).describe()
    if as_json:
        print_json(asdict(found))
        return
    say(f"{found.name}: {found.source}")
    say(f"{_day(found.first_ms)} to {_day(found.last_ms)} UTC (a replay moves it by whole days)\n")
    print_table(("COUNT", ""), [(what, f"{count:,}") for what, count in found.counts.items()])
    say("")
    print_table(("DERIVED (not in the data)", "RULE"), found.derived.items())
    if found.dropped:
        say("")
        print_table(("LEFT OUT", "ROWS"), [(why, f"{rows:,}") for why, rows in found.dropped.items()])
    next_step(f"watchnext replay {name}")


def _day(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%Y-%m-%d")
