"""Everything a fresh clone needs, side by side: Python environment, Kafka's jars, the router. Standard library only.

`make setup` runs `python3.11 -m watchnext.local.prepare` from the repository root with `PYTHONPATH=src`; what is
already there is left alone, so that a second run takes no time and no network.
"""

import hashlib
import subprocess
import sys
import time
from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import Final

from watchnext.errors import PrerequisiteError, WatchnextError
from watchnext.local.downloads import build_router, fetch_kafka
from watchnext.local.prerequisites import TOOLS, require

UV: Final = "uv==0.13.9"
ENVIRONMENT: Final = Path(".venv")
LOCK: Final = Path("requirements.lock")
PROJECT: Final = Path("pyproject.toml")
STAMP: Final = ENVIRONMENT / "watchnext.lock.sha256"


def wanted_stamp() -> str:
    """Hash of what decides the environment: the lock, the project file, and where the clone lies."""
    digest = hashlib.sha256(str(Path.cwd()).encode())
    for file in (LOCK, PROJECT):
        if not file.is_file():
            raise PrerequisiteError(f"{file} is not in {Path.cwd()}: run from the root of the repository")
        digest.update(file.read_bytes())
    return digest.hexdigest()


def environment_is_current() -> bool:
    """Was `.venv` made from today's lock?"""
    return STAMP.is_file() and STAMP.read_text() == wanted_stamp()


def make_environment() -> None:
    """`.venv` with exactly the packages of the lock, hashes checked, and this package in editable form."""
    if environment_is_current():
        return
    STAMP.unlink(missing_ok=True)
    python = str(ENVIRONMENT / "bin" / "python")
    _run([sys.executable, "-m", "venv", str(ENVIRONMENT)])
    _run([python, "-m", "pip", "install", "--quiet", UV])
    uv = [str(ENVIRONMENT / "bin" / "uv"), "pip"]
    _run([*uv, "sync", "--quiet", "--require-hashes", "--python", python, str(LOCK)])
    # Bytecode now, of all but tests: a process that may not write it compiles a thousand modules at every start.
    # It ends with 1 where a file is for newer Pythons, as one of torch's is.
    packages = str(next(ENVIRONMENT.glob("lib/python*/site-packages")))
    _run([python, "-m", "compileall", "-qq", "-j", "2", "-x", "/tests?/", packages], ends=(0, 1))
    # With the lock's hatchling: an isolated build would fetch one of any version, without hashes.
    _run([*uv, "install", "--quiet", "--no-deps", "--no-build-isolation", "--python", python, "--editable", "."])
    STAMP.write_text(wanted_stamp())


STEPS: Final[dict[str, Callable[[], None]]] = {
    "python environment": make_environment,
    "kafka jars": fetch_kafka,
    "kserve router": build_router,
}


def prepare() -> None:
    """Runs all steps at once; prints the seconds of those that had something to do.

    Raises:
        PrerequisiteError: a tool is missing or a step failed; the other steps are waited for.
    """
    if environment_is_current():
        pending = [name for name in STEPS if name != "python environment"]
    else:
        require(*TOOLS)
        pending = list(STEPS)
    started = time.monotonic()
    failures: list[BaseException] = []
    with ThreadPoolExecutor(len(pending)) as pool:
        running = {pool.submit(STEPS[name]): name for name in pending}
        for done in as_completed(running):
            seconds = time.monotonic() - started
            if error := done.exception():
                if not isinstance(error, WatchnextError | OSError):  # OSError: a full disk, a cache that is a file
                    raise error
                failures.append(error)
            elif seconds >= 1:
                print(f"set-up: {running[done]} ready after {seconds:.0f} s", flush=True)
    if failures:
        raise PrerequisiteError("; ".join(str(failure) for failure in failures))


def _run(command: list[str], ends: Collection[int] = (0,)) -> None:
    """Run `command`, which must end with one of `ends`."""
    run = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
    if run.returncode not in ends:
        said = (run.stdout + run.stderr).strip()[-1500:]
        raise PrerequisiteError(f"set-up failed (exit {run.returncode}): {' '.join(command)}\n{said}")


if __name__ == "__main__":
    try:
        prepare()
    except (WatchnextError, OSError) as error:
        sys.exit(f"error: {error}")
