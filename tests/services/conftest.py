"""One real stack a session: broker, Valkey, Milvus Lite, router, TorchServe and our servers, on ports of its own.

Only the router's 8080 is fixed: stop a running `watchnext up` before. Nothing outlives pytest, not even its SIGKILL.
"""

import random
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from watchnext.local import supervisor
from watchnext.local.ports import port_is_free
from watchnext.settings import Settings, load_settings


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on now, below those that the kernel gives to clients at any moment."""
    found: list[int] = []
    for number in random.sample(range(20_000, 32_000), k=1_000):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", number))
            except OSError:
                continue
        found.append(number)
        if len(found) == count:
            return found
    raise RuntimeError(f"{len(found)} ports between 20000 and 32000 are free; {count} are wanted")


def neighbouring_ports(count: int) -> int:
    """The first of `count` free ports in a row, below those of `free_ports`."""
    for first in random.sample(range(12_000, 18_000), k=1_000):
        if all(port_is_free(first + step) for step in range(count)):
            return first
    raise RuntimeError(f"no {count} ports in a row between 12000 and 18000 are free")


def wait_for(condition: Callable[[], bool]) -> None:
    """Until `condition` holds; a minute means that it never will."""
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, "nothing happened within 60 s"
        time.sleep(0.05)


def private_settings(home: Path, **flags: dict[str, Any]) -> Settings:
    """Settings of a stack of its own under `home`; `flags` are sections whose entries are added."""
    port = iter(free_ports(16))
    inference = next(port)
    sections: dict[str, dict[str, Any]] = {
        "kafka": {"bootstrap": f"127.0.0.1:{next(port)}"},
        "local": {"kafka_controller_port": next(port)},
        "features": {"online": f"127.0.0.1:{next(port)}"},
        "milvus": {"uri": f"http://127.0.0.1:{next(port)}"},
        "serving": {
            "retrieval_port": next(port),
            "ranking_port": next(port),
            "ranker_url": f"http://127.0.0.1:{inference}",
            "allow_client_time": True,
        },
        "torchserve": {
            "inference_port": inference,
            "management_port": next(port),
            "metrics_port": next(port),
            "grpc_port": next(port),
            "grpc_management_port": next(port),
        },
        "gateway": {"rest_port": next(port), "grpc_port": next(port)},
        "ops": {"worker_port": neighbouring_ports(8), "follower_port": next(port)},
        "generations": {"poll_s": 0.2},
        "training": {"threads": 1},
    }
    merged = {name: sections.get(name, {}) | flags.get(name, {}) for name in sections.keys() | flags.keys()}
    return load_settings(home=home, profile="tiny", **merged)


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """The settings of the session's running stack."""
    settings = private_settings(tmp_path_factory.mktemp("stack"))
    with supervisor.running(settings):
        yield settings
