"""`watchnext config show`: the merged settings and where each came from."""

import os
from collections.abc import Collection, Iterator
from typing import Any

import typer
from pydantic import SecretStr
from pydantic_settings import EnvSettingsSource, YamlConfigSettingsSource

from watchnext.cli.output import JsonFlag, next_step, print_json, print_table, say
from watchnext.setting_keys import keys_of_flag, leaves, unread_variables
from watchnext.settings import Settings, load_settings, without_passwords

app = typer.Typer(no_args_is_help=True)
MASK = "********"


@app.callback()
def config() -> None:
    """Settings: flag > environment WATCHNEXT_* (`__` nests) > YAML (WATCHNEXT_CONFIG) > default."""


@app.command()
def show(context: typer.Context, json: JsonFlag = False) -> None:
    """Print the merged settings and where each came from, secrets masked; and WATCHNEXT_* variables that name none."""
    settings = load_settings()
    flags = context.find_root().params["setting"]
    rows = [
        {"setting": key, "value": masked(value), "from": source}
        for key, value, source in origins(settings, {key for flag in flags for key in keys_of_flag(flag)})
    ]
    unread = unread_variables(Settings, os.environ)
    if json:
        print_json({"settings": rows, "unread": unread})
        return
    print_table(["setting", "value", "from"], [list(row.values()) for row in rows])
    for name, nearest in unread.items():
        say(f"{name} is set and names no setting" + (f"; did you mean {nearest}?" if nearest else ""))
    next_step(
        "change one with WATCHNEXT_KAFKA__PARTITIONS=8, --set kafka.partitions=8, or the YAML of WATCHNEXT_CONFIG"
    )


def origins(settings: Settings, flags: Collection[str]) -> Iterator[tuple[str, Any, str]]:
    """Key, value and origin of each setting."""
    file = os.environ.get("WATCHNEXT_CONFIG")
    environment = dict(leaves(EnvSettingsSource(Settings)()))
    in_file = dict(leaves(YamlConfigSettingsSource(Settings, yaml_file=file)())) if file else {}
    for key, value in leaves(settings.model_dump()):
        if key in environment:  # where `--set` stands too
            source = "flag --set" if key in flags else "environment"
        elif key in in_file:
            source = f"file {file}"
        else:
            source = "default"
        yield key, value, source


def masked(value: Any) -> Any:
    """`value` with secrets hidden, also that of a connection string; one that is not set shows as empty."""
    if isinstance(value, SecretStr):
        return MASK if value.get_secret_value() else ""
    if isinstance(value, list):
        return [masked(entry) for entry in value]
    if isinstance(value, str):  # features.online and features.registry may carry a password
        return without_passwords(value)
    return value if isinstance(value, int | float | bool | None) else str(value)
