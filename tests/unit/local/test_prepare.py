from pathlib import Path

import pytest

from watchnext.errors import PrerequisiteError
from watchnext.local import cache, downloads, prepare


@pytest.fixture(autouse=True)
def environment_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prepare, "environment_is_current", lambda: True)


def test_a_cache_that_cannot_be_written_is_told_in_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))

    def fetch() -> None:
        with cache.scratch():
            pass

    monkeypatch.setattr(prepare, "STEPS", {"python environment": prepare.make_environment, "kafka jars": fetch})
    with pytest.raises(PrerequisiteError, match=r"Not a directory: '.*/file/watchnext'"):
        prepare.prepare()


def test_what_a_tool_says_in_another_encoding_is_told(tmp_path: Path):
    with pytest.raises(PrerequisiteError, match=r"Maven failed \(exit 3\): .*\n.*gro�e"):
        downloads._run(["sh", "-c", "printf 'gro\\337e Not'; exit 3"], tmp_path, "Maven")


def test_a_cache_beside_the_current_folder_is_one_for_servers_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A server runs in a folder of its own, where the router's relative path led nowhere."""
    monkeypatch.setenv("XDG_CACHE_HOME", "cache")
    monkeypatch.chdir(tmp_path)

    assert cache.router_binary().is_relative_to(tmp_path / "cache" / "watchnext")
