from importlib.metadata import version
from pathlib import Path

import pytest

from watchnext.local.doctor import DISK_GB, Check, examine
from watchnext.settings import load_settings


@pytest.fixture
def clone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def check(name: str) -> Check:
    (found,) = [one for one in examine(load_settings()) if one.name == name]
    return found


def test_a_package_that_is_not_as_in_the_lock_is_named(clone: Path):
    (clone / "requirements.lock").write_text("pydantic==0.0.1 \\\n    --hash=sha256:0\nno-such-thing==2\n")

    found = check("Python environment")

    assert found.mend == "run `make setup`"
    assert f"pydantic {version('pydantic')}, wanted 0.0.1" in found.found
    assert "no-such-thing missing, wanted 2" in found.found


def test_an_environment_as_in_the_lock_is_healthy(clone: Path):
    (clone / "requirements.lock").write_text(f"pydantic==={version('pydantic')}".replace("===", "=="))

    assert check("Python environment").healthy


def test_an_install_that_broke_off_leaves_a_nameless_folder_and_a_doctor_that_works(
    clone: Path, monkeypatch: pytest.MonkeyPatch
):
    (clone / "broken-1.0.dist-info").mkdir()
    monkeypatch.syspath_prepend(str(clone))
    (clone / "requirements.lock").write_text("broken==1.0\n")

    assert "broken missing, wanted 1.0" in check("Python environment").found


def test_missing_shared_data_is_told_and_not_needed(clone: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("WATCHNEXT_SHARED", "nowhere")

    found = check("shared data")

    assert (found.healthy, found.needed) == (False, False)
    assert "WATCHNEXT_SHARED" in found.mend


def test_downloads_that_are_not_there_are_mended_by_set_up(clone: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(clone))

    assert check("KServe's router").mend == "run `make setup`"
    assert check("Kafka's jars").mend == "run `make setup`"


def test_a_variable_that_names_no_setting_is_a_notice(clone: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("WATCHNEXT_PROFLE", "tiny")

    found = check("WATCHNEXT_PROFLE")

    assert (found.mend, found.needed) == ("WATCHNEXT_PROFILE is one", False)


def test_a_server_elsewhere_is_no_trouble_of_this_machine():
    """It ended the doctor with an error."""
    settings = load_settings(kafka={"bootstrap": "kafka.example:9092"})

    ports = [found.name for found in examine(settings) if found.name.startswith("port ")]

    assert not [name for name in ports if "(kafka)" in name]
    assert "port 16379 (valkey)" in ports


def test_the_disk_that_is_wanted_is_the_readmes():
    readme = (Path(__file__).parents[3] / "README.md").read_text()

    assert f"{DISK_GB} GB of disk" in readme
