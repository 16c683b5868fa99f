"""`watchnext status`: the local servers and how they are."""

import typer

from watchnext.cli.output import JsonFlag, next_step, print_json, print_table
from watchnext.local import supervisor
from watchnext.settings import load_settings

app = typer.Typer()


@app.command()
def status(json: JsonFlag = False) -> None:
    """Show the local servers. Exits 1 if one runs and is not ready."""
    servers = supervisor.status(load_settings())
    ailing = [server for server in servers if server.state == "not ready"]
    if json:
        print_json({"servers": servers})
    else:
        rows = [
            (one.name, one.state, one.pid or "", " ".join(map(str, one.ports)), f"{one.resident_mb} MB", one.what)
            for one in servers
        ]
        print_table(["server", "state", "pid", "ports", "memory", "what"], rows)
        if ailing:
            next_step(f"look into {ailing[0].log}")
        elif any(server.state == "stopped" for server in servers):
            next_step("`watchnext up` starts what is stopped")
        else:
            next_step("`watchnext recommend USER` asks for recommendations")
    raise typer.Exit(1 if ailing else 0)
