"""The peers' lock, and when their environment is made; tests/local/test_peers.py runs in a real one."""

import hashlib
import re
from pathlib import Path

import pytest

from benchmarks.peers import environment
from benchmarks.peers.environment import LOCK, ROOT, make_environment


def pins(lock: Path) -> dict[str, str]:
    return dict(re.findall(r"^([a-z][a-z0-9-]*)==(\S+)", lock.read_text(), re.MULTILINE))


def test_the_lock_has_what_was_asked_for_with_hashes_and_the_product_s_torch() -> None:
    asked = [line.split("==") for line in LOCK.with_suffix(".in").read_text().splitlines() if "==" in line]
    locked = pins(LOCK)

    assert {name.split("[")[0]: version for name, version in asked}.items() <= locked.items()
    assert locked["torch"] == pins(ROOT / "requirements.lock")["torch"]  # linked from uv's cache, never fetched
    assert LOCK.read_text().count("--hash=sha256:") > len(locked)


def test_an_environment_of_this_lock_is_kept_and_another_is_made_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran = []
    monkeypatch.setattr(environment, "_run", lambda command, variables: ran.append(command[1:3]))
    stamp = tmp_path / "peers" / ".venv" / "lock.sha256"
    stamp.parent.mkdir(parents=True)
    stamp.write_text("of an older lock")

    assert make_environment(tmp_path) == tmp_path / "peers" / ".venv" / "bin" / "python"
    assert ran == [["venv", "--quiet"], ["pip", "sync"]]
    assert stamp.read_text() == hashlib.sha256(LOCK.read_bytes()).hexdigest()
    make_environment(tmp_path)
    assert len(ran) == 2
