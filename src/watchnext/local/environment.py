"""What a server reads: exactly the settings that its starter had, in a file that only the owner can read."""

import os
from pathlib import Path
from typing import Any, Final

import yaml
from pydantic import SecretStr

from watchnext.setting_keys import PREFIX
from watchnext.settings import Settings

_PLACES: Final = (  # settings that may be a folder or file of this machine
    ("kafka", "ssl_cafile"),
    ("features", "registry"),
    ("features", "archive"),
    ("features", "offline"),
    ("generations", "url"),
    ("torchserve", "model_store"),
)


def server_environment(settings: Settings) -> dict[str, str]:
    """The environment of servers: ours without `WATCHNEXT_*`, and the merged settings as their YAML file.

    Each server runs in a folder of its own, so relative paths are made those of this process.
    """
    file = settings.home.absolute() / "run" / "settings.yaml"
    tree = plain(settings.model_dump())
    tree |= {"home": str(settings.home.absolute()), "shared": str(settings.shared.absolute())}
    for section, name in _PLACES:
        place = tree[section][name]
        if place and "://" not in place:
            tree[section][name] = str(Path(place).absolute())
    file.parent.mkdir(parents=True, exist_ok=True)
    fresh = file.with_suffix(".new")
    with open(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as stream:
        yaml.safe_dump(tree, stream, sort_keys=False)
    fresh.replace(file)
    inherited = {name: value for name, value in os.environ.items() if not name.upper().startswith(PREFIX)}
    return {**inherited, "WATCHNEXT_CONFIG": str(file), "PYTHONUNBUFFERED": "1"}


def plain(value: Any) -> Any:
    """`value` with secrets revealed and paths as text, as YAML carries it."""
    if isinstance(value, dict):
        return {key: plain(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [plain(entry) for entry in value]
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    return str(value) if isinstance(value, Path) else value
