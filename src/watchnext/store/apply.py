"""Register the definitions: once at set-up, by whoever starts or upgrades the system, never by a server.

`python -m watchnext.store.apply` is the chart's Job.

Feast keeps registered objects where every reader unpickles them, so the registry is written here alone.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import structlog
from feast import FeatureStore
from feast.errors import FeastObjectNotFoundException
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from sqlalchemy.exc import SQLAlchemyError

from watchnext.contracts.names import View
from watchnext.errors import StoreError, WatchnextError
from watchnext.settings import Settings, load_settings, without_passwords
from watchnext.store.config import offline_type, repo_config, write_feature_store_yaml
from watchnext.store.offline import OfflineLog
from watchnext.store.online import STORE_ERRORS
from watchnext.store.schema import definitions

_REGISTRY_ERRORS: Final = (OSError, SQLAlchemyError, ImportError, DecodeError)  # ImportError: its driver's

_log = structlog.get_logger(__name__)


def apply(settings: Settings) -> Path:
    """Write `<home>/feast/feature_store.yaml` and register entities, views and services; again is harmless.

    Returns:
        The configuration file, for Feast's own command line and UI.

    Raises:
        StoreError: the registry, the online store or a folder refused.
    """
    wanted, registry = definitions(settings), without_passwords(settings.registry_path)
    try:
        path = write_feature_store_yaml(settings)
        if offline_type(settings) == "duckdb":
            for view in View:
                OfflineLog(settings.offline_path, view).create()
        open_store(settings).apply(wanted.objects())
    except (*_REGISTRY_ERRORS, *STORE_ERRORS) as error:
        raise StoreError(
            f"the definitions cannot be registered in {registry} "
            f"(online store {without_passwords(settings.features.online)}): {error}"
        ) from error
    _log.info(
        "feast_applied",
        registry=registry,
        views=len(wanted.views),
        services=len(wanted.services),
    )
    return path


def open_store(settings: Settings, offline: dict[str, str] | None = None) -> FeatureStore:
    """Feast's own front, with the registry; for pipelines and drills, never for a request.

    Args:
        settings: the store's.
        offline: another section `offline_store` than these settings make.
    """
    return FeatureStore(config=repo_config(settings, offline))


@contextmanager
def registered(settings: Settings, name: str) -> Iterator[None]:
    """For what asks the registry for `name`.

    Raises:
        StoreError: it is not registered, or the registry cannot be had.
    """
    registry = without_passwords(settings.registry_path)
    try:
        yield
    except FeastObjectNotFoundException as error:
        raise StoreError(f"{name} is not registered in {registry}: run `watchnext up`, which registers it") from error
    except _REGISTRY_ERRORS as error:
        raise StoreError(f"{registry} cannot be asked for {name}: {error}") from error


if __name__ == "__main__":
    try:
        apply(load_settings())
    except WatchnextError as error:
        sys.exit(f"error: {error}")
