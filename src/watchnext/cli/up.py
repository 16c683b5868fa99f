"""`watchnext up`: start the local servers."""

from typing import Annotated

import typer

from watchnext.cli.output import JsonFlag, next_step, note, print_json, say
from watchnext.errors import UsageError
from watchnext.local import supervisor
from watchnext.settings import load_settings

app = typer.Typer()


@app.command()
def up(
    only: Annotated[str, typer.Option(help="Names of servers, with commas; default: all.")] = "",
    json: JsonFlag = False,
) -> None:
    """Start the local servers that are not running, and wait until they are ready."""
    settings = load_settings()
    names = server_names(only)
    started = supervisor.up(settings, names, lambda name, event: note(f"{name}: {event}"))
    if json:
        print_json({"started": started})
        return
    say(f"started {', '.join(started)}" if started else "all running already")
    next_step("`watchnext status`, or `watchnext replay` to send events")


def server_names(only: str) -> list[str]:
    """The names in `--only kafka,valkey`.

    >>> server_names("kafka, valkey")
    ['kafka', 'valkey']

    Raises:
        UsageError: something came, and no name in it: no names would mean all servers.
    """
    names = [name.strip() for name in only.split(",") if name.strip()]
    if only and not names:
        raise UsageError(f"--only {only!r} names no server; wanted names with commas, such as kafka,valkey")
    return names
