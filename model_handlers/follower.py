"""The follower beside TorchServe: `python -m model_handlers.follower` keeps its versions in step with the pointer.

It registers the archive of every generation that is live, staged or previous on TorchServe's loopback management
port, acknowledges it once a worker is ready, and unregisters what is neither. A TorchServe that was restarted alone
has lost its versions: they are registered again. A follower that was restarted alone finds versions and archives that
went out of use meanwhile, or that other code has made: it removes them.
"""

import signal
import threading
from pathlib import Path

import structlog

from model_handlers.archive import ARCHIVES, archive_name, build_archive
from model_handlers.management import Management
from watchnext.contracts.names import ranker_version
from watchnext.errors import RankerError
from watchnext.generation.follow import Follower, replica_name
from watchnext.generation.store import GenerationStore
from watchnext.settings import Settings, load_settings

log = structlog.get_logger()


class RankerVersions:
    """The versions that TorchServe should have; `load` and `unload` are the follower's callbacks."""

    def __init__(self, generations: GenerationStore, management: Management, model_store: Path) -> None:
        self._generations = generations
        self._management = management
        self._model_store = model_store
        self._archives: dict[str, Path] = {}
        self._swept = False
        self._lock = threading.Lock()  # one registration at a time: the worker's start takes a core

    def load(self, generation: str, overlay: int) -> str:
        """Build and register an archive; returns its version once a worker is ready."""
        if not self._swept:
            self._sweep()
        archive = build_archive(self._generations.load(generation, overlay), self._model_store)
        version = ranker_version(generation, overlay)
        with self._lock:
            self._management.register(version, archive.name)
            self._archives[version] = archive
        return version

    def unload(self, version: str) -> None:
        """Unregister a version and remove its archive."""
        with self._lock:
            archive = self._archives.pop(version)
            self._management.unregister(version)
            archive.unlink(missing_ok=True)

    def restore(self) -> None:
        """Register again what TorchServe has lost."""
        with self._lock:
            for version in self._archives.keys() - self._management.ready_versions():
                log.warning("ranker.version_lost", version=version)
                self._management.register(version, self._archives[version].name)

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
        self._swept = True


def main(settings: Settings | None = None) -> None:
    """Follow until SIGTERM or SIGINT."""
    settings = settings or load_settings()
    stop = threading.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, lambda *_: stop.set())
    management = Management(
        f"http://127.0.0.1:{settings.torchserve.management_port}", workers=settings.torchserve.workers
    )
    store = GenerationStore.open(settings)
    versions = RankerVersions(store, management, Path(settings.model_store_path))
    poll_s = settings.generations.poll_s
    with Follower(store, replica_name("ranker"), versions.load, unload=versions.unload, poll_s=poll_s):
        while not stop.wait(max(poll_s, 1.0)):
            try:
                versions.restore()
            except RankerError as error:  # TorchServe is down or starting: look again
                log.warning("ranker.unreachable", error=str(error))
    management.close()


if __name__ == "__main__":
    main()
