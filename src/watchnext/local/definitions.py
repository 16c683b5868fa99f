"""Feast's definitions, registered once: again only after they, or the settings that shape them, have changed."""

import hashlib
from pathlib import Path
from typing import Final

from watchnext.contracts import rows
from watchnext.settings import Settings

SOURCES: Final = (Path(rows.__file__), Path(__file__).parents[1] / "store" / "schema.py")


def ensure_definitions(settings: Settings) -> None:
    """Registers the feature definitions of `settings`, unless they are.

    Raises:
        StoreError: the registry or the online store refused.
    """
    stamp = settings.home.absolute() / "feast" / "applied.sha256"
    wanted = hashlib.sha256("".join((settings.offline_path, settings.features.model_dump_json())).encode())
    for source in SOURCES:
        wanted.update(source.read_bytes())
    if Path(settings.registry_path).exists() and stamp.exists() and stamp.read_text() == wanted.hexdigest():
        return
    from watchnext.store.apply import apply  # Feast takes seconds to import: only where there is something to do

    apply(settings)
    stamp.write_text(wanted.hexdigest())
