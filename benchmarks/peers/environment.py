"""The peers' own Python environment in `<home>/peers/.venv`, made by uv from the lock beside this file.

After a change of `requirements.in`, from the root of the repository:
`.venv/bin/uv pip compile --quiet --python-version 3.11 --generate-hashes benchmarks/peers/requirements.in
--output-file benchmarks/peers/requirements.lock`.

>>> run_peers("benchmarks.peers.retrieval", ["--help"], load_settings().home)                    # doctest: +SKIP
"""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from watchnext.cli.output import note
from watchnext.errors import PrerequisiteError

ROOT: Final = Path(__file__).parents[2]
LOCK: Final = Path(__file__).parent / "requirements.lock"


def run_peers(module: str, arguments: Sequence[str | Path], home: Path) -> list[str]:
    """Run `python -m module` in the peers' environment, on one thread; the names of the peers that answered.

    Raises:
        PrerequisiteError: the environment cannot be made, or the program failed; its last lines are in the message.
    """
    python = make_environment(home)
    # Two source trees and no installed product: the peers see its metrics and the split files, not its packages.
    variables = os.environ | {
        "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'src'}",
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
        "TQDM_DISABLE": "1",
    }
    said = _run([str(python), "-W", "ignore", "-m", module, *map(str, arguments)], variables)
    names: list[str] = json.loads(said.splitlines()[-1])  # the peers' libraries may have printed before it
    return names


def make_environment(home: Path) -> Path:
    """Its Python; made anew where the lock is another than the environment was made from."""
    folder = home.absolute() / "peers" / ".venv"
    python, stamp = folder / "bin" / "python", folder / "lock.sha256"
    wanted = hashlib.sha256(LOCK.read_bytes()).hexdigest()
    if not (stamp.is_file() and stamp.read_text() == wanted):
        note("peers: their environment is made from the lock")
        uv = _uv()
        _run([uv, "venv", "--quiet", "--clear", "--python", sys.executable, str(folder)], os.environ)
        _run([uv, "pip", "sync", "--quiet", "--require-hashes", "--python", str(python), str(LOCK)], os.environ)
        stamp.write_text(wanted)
    return python


def _uv() -> str:
    beside = Path(sys.executable).parent / "uv"
    if found := str(beside) if beside.is_file() else shutil.which("uv"):
        return found
    raise PrerequisiteError("uv makes the peers' environment and is not here: run `make setup`, or install uv")


def _run(command: list[str], variables: Mapping[str, str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=dict(variables))
    if done.returncode:
        said = "\n".join((done.stderr or done.stdout).strip().splitlines()[-15:])
        raise PrerequisiteError(f"the peers' program failed (exit {done.returncode}): {' '.join(command)}\n{said}")
    return done.stdout
