"""How verbs speak: tables for people, JSON for programs, progress on a terminal only, and the next step."""

import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, is_dataclass
from typing import Annotated, Any, Final

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

JsonFlag = Annotated[bool, typer.Option("--json", help="Print JSON on standard output, and nothing else there.")]

# A title comes from whoever publishes videos; ESC and its like would move the cursor, or write what is not there.
_CONTROLS: Final = {
    code: "\N{REPLACEMENT CHARACTER}" for code in (*range(0x20), *range(0x7F, 0xA0)) if chr(code) not in "\n\t"
}

_people = Console(highlight=False, emoji=False)
_errors = Console(stderr=True, highlight=False, emoji=False)


def print_json(value: Any) -> None:
    """`value` as indented JSON; dataclasses become objects, paths and the like their text."""
    text = json.dumps(value, indent=2, default=_jsonable, ensure_ascii=False)
    try:
        text.encode(sys.stdout.encoding or "utf-8")
    except UnicodeEncodeError:  # the name of a file may be no text, and a terminal may have few letters
        text = json.dumps(value, indent=2, default=_jsonable)
    sys.stdout.write(text + "\n")


def print_table(columns: Sequence[str], rows: Iterable[Sequence[object]], *, title: str = "") -> None:
    """A table; cells and title are taken as text, without markup or control characters. On a pipe no cell is cut."""
    table = Table(
        *columns,
        title=Text(_plain(title), style="table.title") if title else None,
        title_justify="left",
        box=None,
        pad_edge=False,
        header_style="bold",
    )
    for row in rows:
        table.add_row(*(Text(_plain(str(cell))) for cell in row))
    if _people.is_terminal:
        _people.print(table)
    else:
        Console(highlight=False, width=10_000).print(table)


def say(text: str) -> None:
    """A line for people, as it is but for control characters."""
    _people.print(_plain(text), markup=False, soft_wrap=True)


def next_step(text: str) -> None:
    """The line that ends a verb: what to do now."""
    _people.print(f"Next: {text}", markup=False, soft_wrap=True)


def note(text: str) -> None:
    """A line on the way of long work: on standard error, and only where that is a terminal."""
    if _errors.is_terminal:
        _errors.print(text, markup=False, soft_wrap=True)


@contextmanager
def progress(*, quiet: bool = False) -> Iterator[Progress]:
    """A progress display on standard error; shows nothing where that is no terminal, or `quiet`.

    >>> with progress() as bars:
    ...     task = bars.add_task("events", total=2)
    ...     bars.advance(task, 2)
    """
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    hidden = quiet or not _errors.is_terminal
    with Progress(*columns, console=_errors, transient=True, disable=hidden) as bars:
        yield bars


def _plain(text: str) -> str:
    return text.translate(_CONTROLS)


def _jsonable(value: object) -> Any:
    return asdict(value) if is_dataclass(value) and not isinstance(value, type) else str(value)
