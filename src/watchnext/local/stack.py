"""The servers of `watchnext up`, in the order in which they are started."""

import sys
from collections.abc import Callable, Sequence
from functools import partial
from urllib.parse import urlsplit

from watchnext.errors import ConfigError
from watchnext.local import processes
from watchnext.local.cache import kafka_jars, router_binary
from watchnext.local.definitions import ensure_definitions
from watchnext.local.heartbeats import replica_is_ready
from watchnext.local.kafka import kafka_server
from watchnext.local.milvus import milvus_server
from watchnext.local.probes import http_ok
from watchnext.local.router import router_server
from watchnext.local.servers import ONE_THREAD, Port, Server, run_folder
from watchnext.local.torchserve import torchserve_server
from watchnext.local.valkey import valkey_server
from watchnext.settings import LAST_PORT, Settings, without_passwords

LOOPBACK_HOSTS = ("127.0.0.1", "localhost")


class RemoteServerError(ConfigError):
    """A setting names a server on another machine, which `watchnext up` cannot start."""


def local_servers(settings: Settings, only: Sequence[str] = (), *, skip_remote: bool = False) -> list[Server]:
    """All servers, or those named in `only`, in starting order.

    Args:
        settings: ports and addresses.
        only: names; empty for all.
        skip_remote: leave out servers whose setting names another machine: they are not ours to look at or to stop.

    Raises:
        ConfigError: `only` has an unknown name, or the setting of a server to be started names another machine.
    """
    makers: dict[str, Callable[[], Server]] = {
        "kafka": lambda: kafka_server(
            settings,
            kafka_jars(),
            loopback_port(settings.kafka.bootstrap, "kafka.bootstrap"),
        ),
        "valkey": lambda: valkey_server(settings, loopback_port(settings.features.online, "features.online")),
        "milvus": lambda: milvus_server(settings, loopback_port(settings.milvus.uri, "milvus.uri")),
        "router": lambda: router_server(settings, router_binary()),
        "torchserve": lambda: torchserve_server(settings),
        **{f"worker-{n}": partial(_worker, settings, n) for n in range(1, settings.local.workers + 1)},
        "retrieval": lambda: _retrieval(settings),
        "follower": lambda: _follower(settings),
        "ranking": lambda: _ranking(settings),
        "gateway": lambda: _gateway(settings),
    }
    unknown = [name for name in only if name not in makers]
    if unknown:
        raise ConfigError(f"no server is called {', '.join(unknown)}; there are {', '.join(makers)}")
    servers = []
    for name, make in makers.items():
        if not only or name in only:
            try:
                servers.append(make())
            except RemoteServerError:
                if not skip_remote:
                    raise
    return servers


def loopback_port(address: str, setting: str) -> int:
    """The port in `host:port`, `http://host:port` or Feast's `host:port,option=…`.

    Raises:
        RemoteServerError: its host is another machine, or it has no port.
        ConfigError: it is no address.
    """
    told = without_passwords(address)
    try:
        parts = urlsplit(address if "//" in address else f"//{address.split(',')[0]}")
        host, port = parts.hostname, parts.port
        if port == 0:
            raise ValueError("Port 0 is any that is free")
    except ValueError as error:
        raise ConfigError(
            f"setting {setting} = {told!r} is no address ({error}): wanted HOST:PORT, a port from 1 to {LAST_PORT}"
        ) from error
    if host not in LOOPBACK_HOSTS or port is None:
        raise RemoteServerError(
            f"setting {setting} = {told!r} is no loopback address with a port, and `watchnext up` starts servers on "
            "loopback only: set it to 127.0.0.1:PORT, or leave that server out with --only"
        )
    return port


def _module(name: str) -> tuple[str, ...]:
    return (sys.executable, "-m", name)


def _worker(settings: Settings, number: int) -> Server:
    name = f"worker-{number}"
    port = settings.ops.port_of_worker(name)
    if port > LAST_PORT:
        raise ConfigError(
            f"setting ops.worker_port = {settings.ops.worker_port}: {name} would listen on {port}, the last port is "
            f"{LAST_PORT}: lower it, or local.workers (set WATCHNEXT_OPS__WORKER_PORT or the YAML key)"
        )
    return Server(
        name=name,
        what="materializer: events to features",
        command=(*_module("watchnext.stream.worker"), name),
        ports=(Port(port, "ops.worker_port"),),
        ready=lambda: http_ok(port, "/readyz"),
        after=("kafka", "valkey"),
        environment=ONE_THREAD,
        prepare=lambda: ensure_definitions(settings),
        stop_seconds=20,
    )


def _retrieval(settings: Settings) -> Server:
    port = settings.serving.retrieval_port
    return Server(
        name="retrieval",
        what="KServe model server: candidates",
        command=_module("serving.retrieval"),
        ports=(Port(port, "serving.retrieval_port"),),
        ready=lambda: http_ok(port, "/v2/health/ready"),
        environment=ONE_THREAD,
    )


def _follower(settings: Settings) -> Server:
    run = run_folder(settings.home.absolute())

    def served() -> bool:
        """Whether TorchServe, if it runs, has what was registered: one that came back alone has lost it."""
        torchserve = processes.read(run / "torchserve.pid")
        return torchserve is None or not torchserve.alive or http_ok(settings.ops.follower_port, "/readyz")

    return Server(
        name="follower",
        what="registers generations with TorchServe",
        command=_module("model_handlers.follower"),
        ports=(Port(settings.ops.follower_port, "ops.follower_port"),),
        ready=lambda: replica_is_ready(run, "follower", settings.generations_url, "ranker", served),
        after=("torchserve",),
        environment=ONE_THREAD,
    )


def _ranking(settings: Settings) -> Server:
    port = settings.serving.ranking_port
    return Server(
        name="ranking",
        what="KServe transformer: the ranker's guard",
        command=_module("serving.ranking"),
        ports=(Port(port, "serving.ranking_port"),),
        ready=lambda: http_ok(port, "/v2/health/ready"),
        environment=ONE_THREAD,
    )


def _gateway(settings: Settings) -> Server:
    rest = settings.gateway.rest_port
    return Server(
        name="gateway",
        what="REST and gRPC for applications",
        command=_module("serving.gateway"),
        ports=(Port(rest, "gateway.rest_port"), Port(settings.gateway.grpc_port, "gateway.grpc_port")),
        ready=lambda: http_ok(rest, "/readyz"),
        environment=ONE_THREAD,
    )
