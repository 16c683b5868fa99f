"""Feast's configuration out of ours, so that a larger store is a matter of settings.

`features.online` is Feast's Redis connection string. Several hosts mean a Redis cluster; the options `redis_type`,
`sentinel_master` and `key_ttl_seconds` go to the store, all others to the client.

>>> online_options("valkey-0:6379,valkey-1:6379,ssl=true")["redis_type"]
'redis_cluster'
"""

import json
import os
import re
from pathlib import Path
from typing import Any, Final

import yaml
from feast.errors import FeastError
from feast.repo_config import RepoConfig
from pydantic import ValidationError

from watchnext.errors import ConfigError
from watchnext.settings import Settings, without_passwords

PROJECT: Final = "watchnext"
_STORE_OPTIONS: Final[tuple[str, ...]] = ("redis_type", "sentinel_master", "key_ttl_seconds")
_HOST: Final = re.compile(r"[^:/\s]+:[0-9]+")  # Feast splits it at each colon
_CLIENT_DEFAULTS: Final = {"socket_timeout": "5", "socket_connect_timeout": "2"}  # seconds


def online_options(connection: str, password: str = "") -> dict[str, Any]:
    """The `online_store` section for a connection string, and a password that is not in it.

    Raises:
        ConfigError: no `host:port` in it.
    """
    parts = [part.strip() for part in connection.split(",") if part.strip()]
    hosts = [part for part in parts if "=" not in part]
    if not hosts or not all(_HOST.fullmatch(host) for host in hosts):
        raise ConfigError(
            f"features.online has no host:port in {without_passwords(connection)!r}; wanted such as "
            "127.0.0.1:16379 or valkey:6379,password=...,ssl=true (WATCHNEXT_FEATURES__ONLINE)"
        )
    options = dict(part.split("=", 1) for part in parts if "=" in part)
    if password:  # Feast reads each option as JSON where it can, and splits at commas
        options["password"] = json.dumps(password).replace(",", "\\u002c")
    store = {name: options.pop(name) for name in _STORE_OPTIONS if name in options}
    client = {**_CLIENT_DEFAULTS, **options}
    return {
        "type": "redis",
        "redis_type": "redis_cluster" if len(hosts) > 1 else "redis",
        **store,
        "connection_string": ",".join([*hosts, *(f"{name}={value}" for name, value in client.items())]),
    }


def offline_type(settings: Settings) -> str:
    """Feast's offline engine: by the scheme of `features.offline`, DuckDB for a folder."""
    scheme, separator, _ = settings.offline_path.partition("://")
    if not separator:
        return "duckdb"
    if scheme not in ("spark", "bigquery"):
        raise ConfigError(
            f"features.offline = {settings.offline_path!r}; wanted a folder, spark://FOLDER or "
            "bigquery://PROJECT.DATASET (WATCHNEXT_FEATURES__OFFLINE)"
        )
    return scheme


def offline_location(settings: Settings) -> str:
    """The folder, or the project and data set, in `features.offline`."""
    return settings.offline_path.rpartition("://")[2]


def feature_store_document(settings: Settings) -> dict[str, Any]:
    """What `feature_store.yaml` says for these settings."""
    path = settings.registry_path
    offline: dict[str, Any] = {"type": offline_type(settings)}
    if offline["type"] == "bigquery":
        project, _, dataset = offline_location(settings).partition(".")
        offline |= {"project_id": project, "dataset": dataset}
    return {
        "project": PROJECT,
        "provider": "local",
        "registry": {"registry_type": "sql" if _is_database(path) else "file", "path": path},
        "online_store": online_options(settings.features.online, settings.features.online_password.get_secret_value()),
        "offline_store": offline,
        # Without a batch size Feast 0.67 materializes the first Arrow batch of its result and drops the others.
        "materialization": {"online_write_batch_size": 1_000},
        "entity_key_serialization_version": 3,
    }


def repo_config(settings: Settings, offline: dict[str, str] | None = None) -> RepoConfig:
    """Feast's own configuration object; `offline` is another section `offline_store` than the settings make.

    Raises:
        ConfigError: Feast refuses a setting, or its extra for the offline engine is not installed.
    """
    try:
        document = feature_store_document(settings)
        return RepoConfig(**document | ({"offline_store": offline} if offline else {}))
    except FeastError as error:
        raise ConfigError(
            f"features.offline = {settings.offline_path!r}: {error}; wanted an engine whose extra (feast[spark], "
            "feast[gcp]) is in this image, or a folder (WATCHNEXT_FEATURES__OFFLINE)"
        ) from error
    except ValidationError as error:
        reasons = "; ".join(str(reason["msg"]) for reason in error.errors(include_input=False, include_context=False))
        raise ConfigError(
            f"Feast refuses features.online = {without_passwords(settings.features.online)!r}: {reasons} "
            "(WATCHNEXT_FEATURES__ONLINE)"
        ) from None  # Feast's own text shows the password


def write_feature_store_yaml(settings: Settings) -> Path:
    """Write `<home>/feast/feature_store.yaml`, readable by its owner only: it may carry a password."""
    folder = settings.home.absolute() / "feast"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "feature_store.yaml"
    temporary = folder / f".feature_store.{os.getpid()}.tmp"
    temporary.touch(mode=0o600)
    temporary.write_text(yaml.safe_dump(feature_store_document(settings), sort_keys=False), encoding="utf-8")
    temporary.replace(path)
    return path


def _is_database(path: str) -> bool:
    return path.startswith(("postgresql", "mysql", "sqlite"))
