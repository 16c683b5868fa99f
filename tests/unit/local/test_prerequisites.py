from pathlib import Path

import pytest

from watchnext.errors import PrerequisiteError
from watchnext.local.prerequisites import GO, JAVA, MAVEN, PYTHON, Tool, require

JAVA_8 = "echo 'openjdk version \"1.8.0_402\"' >&2"
JAVA_21 = "echo 'openjdk version \"21.0.1\" 2023-10-17' >&2"


@pytest.fixture
def bin_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only folder in which programs are looked for."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("JAVA_HOME", raising=False)
    return tmp_path


def program(folder: Path, name: str, body: str) -> None:
    file = folder / name
    file.write_text(f"#!/bin/sh\n{body}\n")
    file.chmod(0o755)


@pytest.mark.parametrize("tool", [PYTHON, JAVA, MAVEN, GO])
def test_a_missing_tool_gives_one_sentence_that_says_what_to_install(bin_folder: Path, tool: Tool):
    with pytest.raises(PrerequisiteError) as raised:
        require(tool)

    assert str(raised.value).startswith(f"{tool.name} is missing: install ")
    assert "\n" not in str(raised.value)


def test_an_old_java_is_named_with_its_version(bin_folder: Path):
    program(bin_folder, "java", JAVA_8)

    with pytest.raises(PrerequisiteError, match=r"Java 17 1\.8\.0 is older than 17: install a Java 17 runtime"):
        require(JAVA)


def test_a_newer_java_does(bin_folder: Path):
    program(bin_folder, "java", JAVA_21)

    assert JAVA.version() == (21, 0, 1)


def test_java_home_goes_first(bin_folder: Path, monkeypatch: pytest.MonkeyPatch):
    program(bin_folder, "java", JAVA_8)
    home = bin_folder / "home"
    (home / "bin").mkdir(parents=True)
    program(home / "bin", "java", JAVA_21)
    monkeypatch.setenv("JAVA_HOME", str(home))

    assert JAVA.version() == (21, 0, 1)


@pytest.mark.parametrize(
    ("tool", "says", "version"),
    [
        (GO, "go version go1.26.8 linux/amd64", (1, 26, 8)),
        (MAVEN, "Apache Maven 3.8.7", (3, 8, 7)),
        (PYTHON, "Python 3.11.7", (3, 11, 7)),
    ],
)
def test_the_version_is_read(bin_folder: Path, tool: Tool, says: str, version: tuple[int, ...]):
    program(bin_folder, tool.command, f"echo '{says}'")

    assert tool.version() == version


def test_a_tool_that_fails_is_not_taken_for_present(bin_folder: Path):
    program(bin_folder, "mvn", "exit 3")

    with pytest.raises(PrerequisiteError, match=r"mvn does not tell its version \(exit 3\)"):
        require(MAVEN)


def test_a_tool_that_does_not_run_or_babbles_is_told_in_a_sentence(bin_folder: Path):
    """Java of another processor ended the whole of `doctor`, which asked whether `home` can be written."""
    (bin_folder / "java").write_bytes(b"\x7fELF of another machine")
    (bin_folder / "java").chmod(0o755)
    program(bin_folder, "go", "printf '\\377'")

    with pytest.raises(PrerequisiteError, match=r"java does not run \(Exec format error\): install a Java 17"):
        require(JAVA)
    with pytest.raises(PrerequisiteError, match=r"go does not tell its version \(exit 0\): install Go"):
        require(GO)
