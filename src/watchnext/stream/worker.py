"""The materializer process: `python -m watchnext.stream.worker [NAME]`. Start as many as there are partitions to share.

It waits for the broker, opens the stores, serves the pages for operators, and runs one member of the consumer group
(`member`). It asks nothing of Feast's registry, so it may start before the definitions are registered.
"""

import gc
import logging
import signal
import socket
import sys
import threading
from collections.abc import Callable, Sequence
from typing import Final

import structlog

from watchnext.clock import SystemClock
from watchnext.contracts.names import View
from watchnext.errors import ServerError
from watchnext.ops.http import Health, pages
from watchnext.ops.logs import configure_logs, last_words
from watchnext.settings import Settings, load_settings
from watchnext.store.offline import OfflineLog
from watchnext.store.rows import FeatureStoreRows
from watchnext.stream.archive import EventArchive
from watchnext.stream.catalogue import CatalogueFollower
from watchnext.stream.member import Member
from watchnext.stream.producer import RARELY, EventProducer
from watchnext.stream.topics import ensure_topics

_BACK_OFF_S: Final = 1.0
_HANGS_S: Final = 300.0  # no batch takes so long: the waits for stores and broker in it end within a minute each

_log = structlog.get_logger(__name__)


def main(arguments: Sequence[str] = ()) -> None:
    """Run one worker until SIGTERM or SIGINT."""
    name = arguments[0] if arguments else socket.gethostname()
    log_to_stderr(name)
    with last_words("worker"):
        run(load_settings(), name)


def log_to_stderr(name: str) -> None:
    """One JSON object a line; kafka-python's own warnings beside them."""
    configure_logs()
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr)
    logging.getLogger("kafka.net.selector").setLevel(logging.ERROR)  # it warns of every poll that decodes for long
    structlog.contextvars.bind_contextvars(worker=name)


def run(settings: Settings, name: str) -> None:
    """Open the stores and work until a signal.

    Raises:
        ServerError: its port for operators is taken, or the broker went away while the stores were opened.
        ConfigError: a topic has another number of partitions than `kafka.partitions`, or parts have no folder to go to.
    """
    stop = threading.Event()
    stop_on_signals(stop.set)
    health = Health(alive_s=_HANGS_S)
    ops = settings.ops
    with pages(health, host=ops.host, port=ops.port_of_worker(name), setting="ops.worker_port"):
        _wait_for_topics(settings, health, stop)
        if stop.is_set():
            return
        offline = {view: OfflineLog(settings.offline_path, view) for view in View}
        online = FeatureStoreRows.open(settings)
        clock = SystemClock()
        with EventProducer(settings, client_id=name, expires=False) as producer:  # ADR 10: deltas leave no gap
            member = Member(
                settings,
                name,
                health=health,
                stop=stop,
                clock=clock,
                archive=EventArchive(settings.archive_path),
                offline=offline,
                online=online,
                producer=producer,
                catalogue=CatalogueFollower(settings, clock),
            )
            gc.collect()
            gc.freeze()  # rows are long lists without cycles; looking through them at the default rate costs a quarter
            gc.set_threshold(*RARELY)
            member.run()


def _wait_for_topics(settings: Settings, health: Health, stop: threading.Event) -> None:
    """Until the broker is there: on a fresh cluster all start at once."""
    while not stop.is_set():
        try:
            ensure_topics(settings, timeout_s=_BACK_OFF_S)
            return
        except ServerError as error:
            _log.warning("broker_waits", error=str(error))
            health.waiting(str(error))
            stop.wait(_BACK_OFF_S)


def stop_on_signals(stop: Callable[[], None]) -> None:
    """Call `stop` on SIGTERM and SIGINT."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop())


if __name__ == "__main__":
    main(sys.argv[1:])
