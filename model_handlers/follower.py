"""The follower beside TorchServe: `python -m model_handlers.follower` keeps its versions in step with the pointer.

It registers the archive of every generation that is live, staged or previous on TorchServe's loopback management
port, acknowledges it once a worker is ready, and unregisters what is neither. A TorchServe that was restarted alone
has lost its versions: they are registered again. A follower that was restarted alone finds versions and archives that
went out of use meanwhile, or that other code has made: it removes them.

Its `/readyz` speaks for TorchServe too, whose own `/ping` is healthy without any version: it is ready while a worker
serves what is live.
"""

import signal
import threading
from pathlib import Path
from typing import Final

import structlog

from model_handlers.management import REGISTER_TIMEOUT_S, Management
from model_handlers.versions import RankerVersions
from watchnext.errors import RankerError
from watchnext.generation.follow import Follower, replica_name
from watchnext.generation.store import GenerationStore
from watchnext.ops.http import Health, pages
from watchnext.ops.logs import configure_logs, last_words
from watchnext.settings import Settings, load_settings

HANGS_S: Final = 2 * REGISTER_TIMEOUT_S + 60  # a look waits for a registration, and may make one of its own

log = structlog.get_logger()


def look(follower: Follower[str], versions: RankerVersions, health: Health) -> None:
    """See that TorchServe has what it should have, and tell `health` whether what is live can be asked for."""
    try:
        lost = versions.lost()
        live = follower.current()
        if missing := follower.missing():
            health.waiting(missing)
        elif live in lost:
            health.waiting(f"TorchServe has no ready worker for {live}")
        else:
            health.ready(str(live))
        versions.restore(sorted(lost, key=lambda version: version != live))  # one that fails ends it: live first
    except RankerError as error:  # TorchServe is down or starting: look again
        log.warning("ranker.unreachable", error=str(error))
        health.waiting(str(error))


def main() -> None:
    """Follow until SIGTERM or SIGINT."""
    configure_logs()
    with last_words("follower"):
        run(load_settings())


def run(settings: Settings) -> None:
    """Open the stores and follow until a signal.

    Raises:
        ServerError: its port for operators is taken.
    """
    stop = threading.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, lambda *_: stop.set())
    ops, poll_s = settings.ops, settings.generations.poll_s
    health = Health(alive_s=HANGS_S)
    management = Management(
        f"http://127.0.0.1:{settings.torchserve.management_port}", workers=settings.torchserve.workers
    )
    store = GenerationStore.open(settings)
    versions = RankerVersions(store, management, Path(settings.model_store_path))
    following = Follower(store, replica_name("ranker"), versions.load, unload=versions.unload, poll_s=poll_s)
    try:
        with pages(health, host=ops.host, port=ops.follower_port, setting="ops.follower_port"), following as follower:
            while not stop.wait(max(poll_s, 1.0)):
                look(follower, versions, health)
    finally:
        management.close()


if __name__ == "__main__":
    main()
