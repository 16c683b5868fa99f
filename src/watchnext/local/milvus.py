"""Milvus Lite's gRPC server: the Milvus API on one machine."""

import signal
import sys

from watchnext.local.probes import LOOPBACK
from watchnext.local.servers import ONE_THREAD, Port, Server
from watchnext.settings import Settings


def milvus_answers(port: int) -> bool:
    """Does the server answer GetVersion? Its empty request needs no generated code."""
    import grpc  # takes 0.1 s: only where it is asked

    with grpc.insecure_channel(f"{LOOPBACK}:{port}") as channel:
        try:
            return bool(channel.unary_unary("/milvus.proto.milvus.MilvusService/GetVersion")(b"", timeout=1))
        except grpc.RpcError:
            return False


def milvus_server(settings: Settings, port: int) -> Server:
    """Milvus Lite on `port`. It closes its files on SIGINT only."""
    data = settings.home.absolute() / "milvus"
    options = ("--data-dir", str(data), "--host", LOOPBACK, "--port", str(port))
    return Server(
        name="milvus",
        what="Milvus Lite, the vector index",
        command=(sys.executable, "-u", "-m", "milvus_lite", "server", *options),
        ports=(Port(port, "milvus.uri"),),
        ready=lambda: milvus_answers(port),
        environment=ONE_THREAD,
        stop_signal=signal.SIGINT,
    )
