"""`watchnext doctor`: what this machine lacks."""

from dataclasses import asdict

import typer

from watchnext.cli.output import JsonFlag, next_step, print_json, print_table
from watchnext.local.doctor import Check, examine
from watchnext.settings import load_settings

app = typer.Typer()


@app.command()
def doctor(json: JsonFlag = False) -> None:
    """Check prerequisites, ports, disk and data. Exits 1 if something needed is missing."""
    checks = list(examine(load_settings()))
    failed = [check for check in checks if check.needed and not check.healthy]
    if json:
        print_json({"checks": [asdict(check) | {"healthy": check.healthy} for check in checks]})
    else:
        print_table(["check", "", "found", "mend"], [(one.name, _word(one), one.found, one.mend) for one in checks])
        next_step(f"{failed[0].name}: {failed[0].mend}" if failed else "`make demo`")
    raise typer.Exit(1 if failed else 0)


def _word(check: Check) -> str:
    if check.healthy:
        return "ok"
    return "MISSING" if check.needed else "notice"
