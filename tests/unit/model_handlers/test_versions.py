import socket
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest

from model_handlers import management as management_module
from model_handlers import versions
from model_handlers.follower import look
from model_handlers.versions import RankerVersions
from watchnext.errors import RankerError
from watchnext.ops.http import Health, pages


class Management:
    """TorchServe's management port, which may be late."""

    def __init__(self) -> None:
        self.registered: dict[str, str] = {}
        self.late = False
        self.without_worker: set[str] = set()

    def ready_versions(self) -> set[str]:
        return self.registered.keys() - self.without_worker

    def register(self, version: str, archive: str) -> None:
        self.registered[version] = archive
        if version in self.without_worker:
            raise RankerError(f"no ready worker for {version}")

    def unregister(self, version: str) -> None:
        if self.late:
            raise RankerError("no answer within 10 s")
        self.registered.pop(version, None)


class Generations:
    """A store whose generations are their names."""

    def load(self, generation: str, overlay: int) -> str:
        return f"{generation}.{overlay}"

    def pointer(self) -> Any:
        raise AssertionError("nothing is swept here")


@pytest.fixture
def management() -> Management:
    return Management()


@pytest.fixture
def followed(management: Management, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RankerVersions:
    def build(bundle: str, store: Path) -> Path:
        archive = store / f"ranker-{bundle}.mar"
        archive.write_bytes(b"")
        return archive

    monkeypatch.setattr(versions, "build_archive", build)
    one = RankerVersions(Generations(), management, tmp_path)
    monkeypatch.setattr(one, "_swept", True)
    return one


def unload_late(followed: RankerVersions, management: Management) -> None:
    management.late = True
    with pytest.raises(RankerError):
        followed.unload("gen.0")
    management.late = False


def test_a_version_that_torchserve_was_late_to_forget_is_removed_by_a_later_look(
    followed: RankerVersions, management: Management, tmp_path: Path
):
    followed.load("gen", 0)
    followed.load("gen", 1)
    unload_late(followed, management)
    management.late = True
    followed.restore([])  # no failure of what is live
    assert management.registered == {"gen.0": "ranker-gen.0.mar", "gen.1": "ranker-gen.1.mar"}
    management.late = False
    followed.restore([])
    assert management.registered == {"gen.1": "ranker-gen.1.mar"}
    assert [path.name for path in tmp_path.iterdir()] == ["ranker-gen.1.mar"]


def test_a_version_that_is_wanted_again_stays(followed: RankerVersions, management: Management, tmp_path: Path):
    followed.load("gen", 0)
    unload_late(followed, management)
    followed.load("gen", 0)
    followed.restore([])
    assert management.registered == {"gen.0": "ranker-gen.0.mar"}
    assert [path.name for path in tmp_path.iterdir()] == ["ranker-gen.0.mar"]


def test_the_archive_of_a_version_that_is_wanted_again_is_not_removed_under_its_registration(
    followed: RankerVersions, management: Management, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    followed.load("gen", 0)
    unload_late(followed, management)
    build = versions.build_archive
    looks: list[threading.Thread] = []

    def looked_at_meanwhile(bundle: str, store: Path) -> Path:
        archive = build(bundle, store)
        looks.append(threading.Thread(target=followed.restore, args=([],)))
        looks[0].start()
        looks[0].join(0.2)
        return archive

    monkeypatch.setattr(versions, "build_archive", looked_at_meanwhile)
    followed.load("gen", 0)
    looks[0].join()
    assert management.registered == {"gen.0": "ranker-gen.0.mar"}
    assert [path.name for path in tmp_path.iterdir()] == ["ranker-gen.0.mar"]


def test_what_a_killed_build_left_is_removed(
    followed: RankerVersions, management: Management, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(followed, "_swept", False)
    monkeypatch.setattr(Generations, "pointer", lambda _: SimpleNamespace(targets=[]))
    monkeypatch.setattr(management, "archives", dict, raising=False)
    (tmp_path / "archive-x1" / "contents").mkdir(parents=True)
    followed.load("gen", 0)
    assert [path.name for path in tmp_path.iterdir()] == ["ranker-gen.0.mar"]


def test_of_a_version_that_gets_no_worker_nothing_is_left(
    followed: RankerVersions, management: Management, tmp_path: Path
):
    followed.load("gen", 0)
    management.without_worker = {"gen.1"}
    with pytest.raises(RankerError):
        followed.load("gen", 1)
    followed.restore([])
    assert management.registered == {"gen.0": "ranker-gen.0.mar"}
    assert [path.name for path in tmp_path.iterdir()] == ["ranker-gen.0.mar"]


def test_torchserve_beside_us_is_asked_through_no_proxy(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")  # nobody listens there
    health = Health(alive_s=60)
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
    with pages(health, host="127.0.0.1", port=port, setting=""):  # a server that has no such page
        assert management_module.Management(f"http://127.0.0.1:{port}", workers=1).ready_versions() == set()


def test_a_version_without_a_worker_in_time_is_registered_anew_the_next_time(monkeypatch: pytest.MonkeyPatch):
    """TorchServe gives up a worker that does not start, and starts none for a version that is registered already."""
    asked: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(f"{request.method} {request.url.path}")
        model = {"modelVersion": "gen.0", "modelUrl": "ranker-gen.0.mar", "workers": [{"status": "UNLOADING"}]}
        return httpx.Response(409, json={}) if request.method == "POST" else httpx.Response(200, json=[model])

    one = management_module.Management("http://torchserve", workers=1)
    monkeypatch.setattr(
        one, "_client", httpx.Client(base_url="http://torchserve", transport=httpx.MockTransport(answer))
    )
    monkeypatch.setattr(management_module, "REGISTER_TIMEOUT_S", -1.0)
    with pytest.raises(RankerError, match=r"no ready worker for gen\.0"):
        one.register("gen.0", "ranker-gen.0.mar")
    assert asked[-1] == "DELETE /models/ranker/gen.0"


def test_what_is_live_comes_back_though_another_version_does_not(followed: RankerVersions, management: Management):
    for overlay in (0, 1):
        followed.load("gen", overlay)
    management.registered.clear()  # TorchServe was restarted
    management.without_worker = {"gen.0"}
    live: Any = SimpleNamespace(current=lambda: "gen.1", missing=lambda: "")
    health = Health(alive_s=60)
    for _ in range(2):
        look(live, followed, health)
    assert "gen.1" in management.registered
