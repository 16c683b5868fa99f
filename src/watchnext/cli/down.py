"""`watchnext down`: stop the local servers."""

from typing import Annotated

import typer

from watchnext.cli.output import JsonFlag, next_step, note, print_json, say
from watchnext.cli.up import server_names
from watchnext.local import supervisor
from watchnext.settings import load_settings

app = typer.Typer()


@app.command()
def down(
    only: Annotated[str, typer.Option(help="Names of servers, with commas; default: all.")] = "",
    json: JsonFlag = False,
) -> None:
    """Stop the local servers; what they stored stays."""
    settings = load_settings()
    stopped = supervisor.down(settings, server_names(only), lambda name, event: note(f"{name}: {event}"))
    if json:
        print_json({"stopped": stopped})
        return
    say(f"stopped {', '.join(stopped)}" if stopped else "none was running")
    next_step(f"`watchnext up` starts them again; `rm -r {settings.home}` forgets what they stored")
