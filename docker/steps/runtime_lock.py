"""Prints the part of requirements.lock that the program needs: not what only the extra `dev` wants.

uv notes under each package which others want it (`# via`); a package is needed where one of these is, or is named in
`project.dependencies`. Standard library only: it runs in the image's build.
"""

import re
import sys
import tomllib
from pathlib import Path


def runtime_lock(lock: str, project: str) -> str:
    """The entries of `lock` that the dependencies of `project` lead to, as they stand there."""
    entries = {_name(entry): entry for entry in re.split(r"\n(?=\w)", lock)[1:]}
    needed = {_name(dependency) for dependency in tomllib.loads(project)["project"]["dependencies"]}
    wanted_by = {name: _wanting(entry) for name, entry in entries.items()}
    while more := {name for name, others in wanted_by.items() if others & needed} - needed:
        needed |= more
    return "\n".join(entry.rstrip("\n") for name, entry in entries.items() if name in needed) + "\n"


def _wanting(entry: str) -> set[str]:
    return {_name(line) for line in re.findall(r"^ +#(?: via)? +(\w.*)$", entry, re.MULTILINE) if line != "via"}


def _name(requirement: str) -> str:
    return re.split(r"[^\w.-]", requirement, maxsplit=1)[0].lower().replace("_", "-")


if __name__ == "__main__":
    sys.stdout.write(runtime_lock(*(Path(file).read_text() for file in sys.argv[1:3])))
