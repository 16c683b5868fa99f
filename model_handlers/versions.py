"""The versions of the ranker that TorchServe should have: registered, registered again where lost, and removed."""

import shutil
import threading
from collections.abc import Sequence
from pathlib import Path

import structlog

from model_handlers.archive import ARCHIVES, UNFINISHED, archive_name, build_archive
from model_handlers.management import Management
from watchnext.contracts.names import ranker_version
from watchnext.errors import RankerError
from watchnext.generation.store import GenerationStore

log = structlog.get_logger()


class RankerVersions:
    """The versions that TorchServe should have; `load` and `unload` are the follower's callbacks."""

    def __init__(self, generations: GenerationStore, management: Management, model_store: Path) -> None:
        self._generations = generations
        self._management = management
        self._model_store = model_store
        self._archives: dict[str, Path] = {}
        self._unwanted: dict[str, Path] = {}  # TorchServe did not let go of them yet, or no worker came for them
        self._swept = False
        self._lock = threading.Lock()  # one registration at a time: the worker's start takes a core

    def load(self, generation: str, overlay: int) -> str:
        """Build and register an archive; returns its version once a worker is ready.

        Raises:
            RankerError: TorchServe refused it, or no worker became ready in time; `restore` removes what is left of it.
        """
        if not self._swept:
            self._sweep()
        bundle = self._generations.load(generation, overlay)
        version = ranker_version(generation, overlay)
        with self._lock:
            archive = build_archive(bundle, self._model_store)  # `restore` might remove one that it found
            self._unwanted[version] = archive  # unless a worker serves it
            self._management.register(version, archive.name)
            self._archives[version] = self._unwanted.pop(version)
        return version

    def unload(self, version: str) -> None:
        """Unregister a version and remove its archive; `restore` tries again where TorchServe fails.

        Raises:
            RankerError: TorchServe does not answer in time, or refused.
        """
        with self._lock:
            self._unwanted[version] = self._archives.pop(version)
            self._remove(version)

    def lost(self) -> list[str]:
        """Versions that TorchServe should have a ready worker for, and has not.

        Raises:
            RankerError: TorchServe does not answer.
        """
        with self._lock:
            return sorted(self._archives.keys() - self._management.ready_versions())

    def restore(self, versions: Sequence[str]) -> None:
        """Register again what TorchServe has lost, in this order, and remove what it did not let go of.

        Raises:
            RankerError: TorchServe refused, or no worker became ready in time.
        """
        with self._lock:
            for version in filter(self._archives.__contains__, versions):
                log.warning("ranker.version_lost", version=version)
                self._management.register(version, self._archives[version].name)
            for version in sorted(self._unwanted):
                try:
                    self._remove(version)
                except RankerError as error:  # what is live is served all the same
                    log.warning("ranker.version_not_removed", version=version, error=str(error))

    def _remove(self, version: str) -> None:
        self._management.unregister(version)
        self._unwanted.pop(version).unlink(missing_ok=True)

    def _sweep(self) -> None:
        """Remove what earlier followers left and the pointer does not name, or this release has not made."""
        targets = self._generations.pointer().targets
        named = {
            ranker_version(target.generation, target.overlay): archive_name(target.generation, target.overlay)
            for target in targets
        }
        for version, archive in self._management.archives().items():
            if named.get(version) != archive:
                log.info("ranker.version_out_of_use", version=version, archive=archive)
                self._management.unregister(version)
        for path in self._model_store.glob(ARCHIVES):
            if path.name not in named.values():
                path.unlink(missing_ok=True)
        for folder in self._model_store.glob(UNFINISHED):
            shutil.rmtree(folder, ignore_errors=True)
        self._swept = True
