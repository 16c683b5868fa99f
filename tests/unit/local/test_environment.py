import os
from pathlib import Path

import pytest

from watchnext.local.environment import server_environment
from watchnext.settings import load_settings


def test_servers_read_what_their_starter_had(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    given = load_settings(
        home=tmp_path, kafka={"partitions": 7, "sasl_password": "hush"}, gateway={"api_keys": ["a", "b"]}
    )
    monkeypatch.setenv("WATCHNEXT_KAFKA__PARTITIONS", "9")

    environment = server_environment(given)
    for name in [name for name in os.environ if name.startswith("WATCHNEXT_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("WATCHNEXT_CONFIG", environment["WATCHNEXT_CONFIG"])
    read = load_settings()

    assert "WATCHNEXT_KAFKA__PARTITIONS" not in environment
    assert read.kafka == given.kafka
    assert [key.get_secret_value() for key in read.gateway.api_keys] == ["a", "b"]
    assert read.home == tmp_path


def test_relative_paths_are_the_starters_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Each worker wrote an archive of its own, below the folder that it runs in."""
    monkeypatch.chdir(tmp_path)
    given = load_settings(
        home=tmp_path / "home",
        features={"archive": "events", "offline": "spark://rows", "registry": "../registry.db"},
        generations={"url": "generations"},
        torchserve={"model_store": "/models"},
    )

    monkeypatch.setenv("WATCHNEXT_CONFIG", server_environment(given)["WATCHNEXT_CONFIG"])
    read = load_settings()

    assert read.archive_path == str(tmp_path / "events")
    assert read.offline_path == "spark://rows"
    assert Path(read.registry_path).resolve() == tmp_path.parent / "registry.db"
    assert read.generations_url == str(tmp_path / "generations")
    assert read.model_store_path == "/models"
    assert read.kafka.ssl_cafile == ""


def test_a_variable_in_lower_case_does_not_reach_servers_either(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """It went before the file, and so before the flag of the starter."""
    monkeypatch.setenv("watchnext_kafka__partitions", "9")

    assert "watchnext_kafka__partitions" not in server_environment(load_settings(home=tmp_path))


def test_secrets_are_for_the_owner_only(tmp_path: Path):
    environment = server_environment(load_settings(home=tmp_path))

    assert Path(environment["WATCHNEXT_CONFIG"]).stat().st_mode & 0o777 == 0o600
