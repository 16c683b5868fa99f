"""The tools that must be on the machine before `make`: Python 3.11, Java 17, Maven, Go. Standard library only."""

import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from typing import Final

from watchnext.errors import PrerequisiteError


@dataclass(frozen=True, slots=True)
class Tool:
    """A program, how it tells its version, the oldest version that does, and what to install."""

    name: str
    command: str
    version_arguments: tuple[str, ...]
    version_pattern: str
    oldest: tuple[int, ...]
    install: str

    def path(self) -> str | None:
        """Where it is, if anywhere. `JAVA_HOME` is honoured as Java's own tools do."""
        home = os.environ.get("JAVA_HOME")
        if self.command == "java" and home and os.access(f"{home}/bin/java", os.X_OK):
            return f"{home}/bin/java"
        return shutil.which(self.command)

    def version(self) -> tuple[int, ...]:
        """The version that it tells of itself.

        Raises:
            PrerequisiteError: it is missing, does not run, or is too old; one sentence that says what to install.
        """
        path = self.path()
        if path is None:
            raise PrerequisiteError(f"{self.name} is missing: {self.install}.")
        command = [path, *self.version_arguments]
        try:
            run = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
        except OSError as error:  # made for another machine, or a script of an interpreter that is not there
            raise PrerequisiteError(f"{path} does not run ({error.strerror}): {self.install}.") from error
        found = re.search(self.version_pattern, run.stdout + run.stderr)
        if run.returncode or not found:
            raise PrerequisiteError(f"{path} does not tell its version (exit {run.returncode}): {self.install}.")
        version = tuple(int(part) for part in found.group(1).split("."))
        if version < self.oldest:
            wanted = ".".join(map(str, self.oldest))
            raise PrerequisiteError(f"{self.name} {found.group(1)} is older than {wanted}: {self.install}.")
        return version


PYTHON: Final = Tool(
    "Python 3.11",
    "python3.11",
    ("--version",),
    r"Python (3\.11\.\d+)",
    (3, 11),
    "install Python 3.11 with its venv module (Debian and Ubuntu: apt install python3.11 python3.11-venv)",
)
JAVA: Final = Tool(
    "Java 17",
    "java",
    ("-version",),
    r'version "(\d+(?:\.\d+)*)',
    (17,),
    "install a Java 17 runtime (Debian and Ubuntu: apt install openjdk-17-jre-headless)",
)
MAVEN: Final = Tool(
    "Maven",
    "mvn",
    ("--version",),
    r"Apache Maven (\d+\.\d+\.\d+)",
    (3, 6),
    "install Maven 3.6 or later (Debian and Ubuntu: apt install maven)",
)
GO: Final = Tool(
    "Go",
    "go",
    ("version",),
    r"go version go(\d+(?:\.\d+)*)",
    (1, 24),
    "install Go 1.24 or later from https://go.dev/dl",
)
TOOLS: Final = (PYTHON, JAVA, MAVEN, GO)


def require(*tools: Tool) -> None:
    """Checks `tools`.

    Raises:
        PrerequisiteError: of the first that is missing or too old.
    """
    for tool in tools:
        tool.version()


def java() -> str:
    """The Java program; plain `java` where there is none, so that a command can be written down all the same."""
    return JAVA.path() or JAVA.command


def require_java() -> None:
    """Sees that there is a Java program, without the third of a second that asking its version takes.

    Raises:
        PrerequisiteError: there is none.
    """
    if JAVA.path() is None:
        raise PrerequisiteError(f"{JAVA.name} is missing: {JAVA.install}.")
