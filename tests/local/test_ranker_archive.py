"""The archives that TorchServe serves, as files: what is in them, and what their names tell."""

import shutil
import tempfile
import zipfile
from pathlib import Path

import pytest

from model_handlers import archive
from tests.unit.generation.world import parts
from watchnext.generation.build import build_generation
from watchnext.generation.bundle import Bundle
from watchnext.generation.store import GenerationStore


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    store = GenerationStore(str(tmp_path_factory.mktemp("generations")))
    return store.load(build_generation(store, parts()).generation)


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The package's code of another release, to be changed by a test."""
    package = tmp_path / "release" / "watchnext"
    shutil.copytree(archive.PACKAGE, package, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(archive, "PACKAGE", package)
    return package


@pytest.mark.parametrize("changed", ["features/cross.py", "models/scorer.py", "__init__.py"])
def test_code_that_changed_is_not_served_from_the_archive_of_the_old_one(
    bundle: Bundle, package: Path, tmp_path: Path, changed: str
):
    old = archive.build_archive(bundle, tmp_path / "store")
    source = package / changed
    source.write_text(source.read_text() + "\n# another release\n")
    new = archive.build_archive(bundle, tmp_path / "store")
    assert new != old
    assert b"# another release" not in zipfile.ZipFile(old).read(f"watchnext/{changed}")
    assert b"# another release" in zipfile.ZipFile(new).read(f"watchnext/{changed}")


def test_a_changed_handler_is_another_archive(bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    old = archive.archive_name(bundle.id, 0)
    handler = tmp_path / "ranker_handler.py"
    handler.write_text(archive.HANDLER.read_text() + "\n# another release\n")
    monkeypatch.setattr(archive, "HANDLER", handler)
    assert archive.archive_name(bundle.id, 0) != old


def test_the_same_code_is_built_once(bundle: Bundle, package: Path, tmp_path: Path):
    built = archive.build_archive(bundle, tmp_path / "store")
    assert built.name.startswith(f"ranker-{bundle.id}.0-")
    written = built.stat().st_mtime_ns
    (package / "settings.py").write_text("# no code of the archive")
    assert archive.build_archive(bundle, tmp_path / "store") == built
    assert built.stat().st_mtime_ns == written


def test_another_build_of_the_same_archive_on_this_machine_is_left_alone(
    bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    other = tmp_path / Path(archive.archive_name(bundle.id, 0)).stem / "ranker.wn"
    other.parent.mkdir()
    other.touch()
    archive.build_archive(bundle, tmp_path / "home" / "store")
    assert other.exists()
