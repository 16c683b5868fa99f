"""What the images take from the locks: the program's packages, and Kafka's jars."""

import hashlib
import re
import runpy
import zipfile
from collections.abc import Callable
from importlib.metadata import distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from watchnext.local.cache import kafka_jars

ROOT = Path(__file__).parents[2]
runtime_lock: Callable[[str, str], str] = runpy.run_path(str(ROOT / "docker" / "steps" / "runtime_lock.py"))[
    "runtime_lock"
]

LOCK = """\
# made by hand
apple==1 \\
    --hash=sha256:aa
    # via watchnext (pyproject.toml)
core_lib==2 \\
    --hash=sha256:bb \\
    --hash=sha256:cc
    # via
    #   apple
    #   tester
seed==3 \\
    --hash=sha256:dd
    # via core-lib
tester==4 \\
    --hash=sha256:ee
    # via watchnext (pyproject.toml)
tester-plugin==5 \\
    --hash=sha256:ff
    # via tester
"""
PROJECT = """\
[project]
dependencies = ["apple[big]>=1"]
optional-dependencies.dev = ["tester"]
"""


def test_what_only_development_wants_is_left_out() -> None:
    assert runtime_lock(LOCK, PROJECT) == LOCK[LOCK.index("apple") : LOCK.index("tester==4")]


def needed(name: str, extras: frozenset[str] = frozenset()) -> set[tuple[str, frozenset[str]]]:
    """The distribution, and all that its metadata in this environment leads to."""
    found, open_ = set(), {(name, extras)}
    while open_:
        name, extras = open_.pop()
        found.add((name, extras))
        for line in distribution(name).requires or []:
            wanted = Requirement(line)
            applies = [{"extra": extra} for extra in ("", *extras)]
            if wanted.marker is None or any(wanted.marker.evaluate(environment) for environment in applies):
                open_ |= {(canonicalize_name(wanted.name), frozenset(wanted.extras))} - found
    return found


def test_the_program_finds_all_its_packages() -> None:
    text = runtime_lock((ROOT / "requirements.lock").read_text(), (ROOT / "pyproject.toml").read_text())
    locked = set(re.findall(r"^([\w.-]+)==", text, re.MULTILINE))
    assert {name for name, _ in needed("watchnext")} - {"watchnext"} <= {canonicalize_name(name) for name in locked}
    assert locked.isdisjoint({"pytest", "ruff", "hypothesis", "pre-commit", "import-linter", "scikit-learn"})


def test_the_jars_are_those_of_the_lock() -> None:
    if not kafka_jars().is_dir():
        pytest.skip("Kafka's jars are not here: run `make setup`")
    lines = [line.split() for line in (ROOT / "docker" / "jars.lock").read_text().splitlines()[1:]]
    modules = {"-".join(module.split(":")[1:]) + ".jar": (digest, module) for digest, module in lines}
    jars = {jar.name: jar for jar in kafka_jars().glob("*.jar")}
    assert modules.keys() == jars.keys()
    for name, (digest, module) in modules.items():
        assert hashlib.sha256(jars[name].read_bytes()).hexdigest() == digest
        group, artifact, _ = module.split(":")
        with zipfile.ZipFile(jars[name]) as jar:  # half of them tell their own group
            told = {part.split("/")[2] for part in jar.namelist() if part.endswith(f"/{artifact}/pom.properties")}
        assert told <= {group}
