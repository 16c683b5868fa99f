import os
from pathlib import Path

import pytest

from watchnext.errors import ConfigError, GenerationStoreError
from watchnext.generation.files import Files


@pytest.fixture(params=["folder", "object store"])
def files(request: pytest.FixtureRequest, tmp_path: Path) -> Files:
    return Files(str(tmp_path / "store") if request.param == "folder" else f"memory://{tmp_path}")


def test_written_files_are_read_and_named(files: Files):
    files.write("a/one.json", b"1")
    files.write("a/two.json", b"2")
    files.write("a/one.json", b"3")
    files.write("b/c/deep", b"")
    assert files.read("a/one.json") == b"3"
    assert files.names("a") == ["one.json", "two.json"]
    assert files.folders("") == ["a", "b"]
    assert files.exists("a/two.json")
    assert not files.exists("a/three.json")


def test_an_absent_folder_is_empty(files: Files):
    assert files.names("nowhere") == []
    assert files.folders("") == []
    with pytest.raises(FileNotFoundError):
        files.read("nowhere/file")


def test_only_the_first_creates(files: Files):
    assert files.create("lock", b"mine")
    assert not files.create("lock", b"theirs")
    assert files.read("lock") == b"mine"
    files.delete("lock")
    files.delete("lock")
    assert files.create("lock", b"theirs")


def test_a_write_that_fails_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    files = Files(str(tmp_path))
    files.write("live.json", b"old")

    def full_disk(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full_disk)
    told = set()
    for change in (files.write, files.write, files.create):
        with pytest.raises(GenerationStoreError, match=r"No space left on device.* generations\.url") as failed:
            change("live.json", b"new")
        told.add(str(failed.value))
    assert len(told) == 1  # the follower tells a failure that lasts once
    assert files.read("live.json") == b"old"
    assert os.listdir(tmp_path) == ["live.json"]  # nothing that keeps a full disk full


@pytest.mark.parametrize("url", ["foo://bucket/prefix", "http://store", "http://h:99999", "http://[::1"])
def test_a_url_that_no_file_system_opens_or_writes_is_a_wrong_setting(url: str):
    with pytest.raises(ConfigError, match=r"generations\.url = .* wanted a folder or s3://BUCKET/PREFIX"):
        Files(url)


def test_a_file_in_the_place_of_the_folder_is_said_in_a_sentence(tmp_path: Path):
    (tmp_path / "file").write_bytes(b"")
    files = Files(str(tmp_path / "file"))
    for look in (lambda: files.read("live.json"), lambda: files.exists("live.json")):
        with pytest.raises(GenerationStoreError, match=r"Not a directory.* generations\.url"):
            look()
