import errno
import os
import tempfile
from pathlib import Path
from types import SimpleNamespace

import pytest

from watchnext.local import torchserve
from watchnext.local.torchserve import properties, torchserve_server
from watchnext.settings import load_settings


def test_every_address_is_loopback_since_tokens_are_off():
    values = dict(line.split("=", 1) for line in properties(load_settings(home="/h")).splitlines())

    assert values["disable_token_authorization"] == "true"
    addresses = {key: value for key, value in values.items() if key.endswith("_address")}
    assert set(addresses) == {
        "inference_address",
        "management_address",
        "metrics_address",
        "grpc_inference_address",
        "grpc_management_address",
    }
    assert all("127.0.0.1" in value for value in addresses.values())


def test_ports_and_workers_are_settings():
    settings = load_settings(home="/h", torchserve={"inference_port": 5, "grpc_port": 6, "workers": 3})
    values = dict(line.split("=", 1) for line in properties(settings).splitlines())

    assert values["inference_address"] == "http://127.0.0.1:5"
    assert values["grpc_inference_port"] == "6"
    assert values["default_workers_per_model"] == "3"
    assert values["model_store"] == "/h/torchserve/model-store"


def test_archives_that_a_server_before_has_unpacked_go_before_the_next_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    monkeypatch.setattr(torchserve, "java", lambda: "java")
    monkeypatch.setattr(torchserve, "require_java", lambda: None)
    server = torchserve_server(load_settings(home=tmp_path / "home"))
    server.prepare()
    unpacked = Path(server.environment["TMPDIR"]) / "models" / "9db48a41"  # where TorchServe unpacks an archive
    unpacked.mkdir(parents=True)

    server.prepare()

    assert not unpacked.exists()


def test_a_full_disk_keeps_nobody_from_naming_the_server(monkeypatch: pytest.MonkeyPatch):
    """`down`, `status` and `doctor` ended in "No usable temporary directory found"."""

    def write(*_: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(tempfile, "tempdir", None)
    monkeypatch.setattr(tempfile, "_os", SimpleNamespace(**(vars(os) | {"open": write})))

    assert torchserve_server(load_settings(home="/h")).name == "torchserve"
