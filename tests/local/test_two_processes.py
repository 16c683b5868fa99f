"""How `make test` deals its tests out to two processes."""

import shutil
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).parents[2]
TELLS = """
import os
import pathlib
import time

import pytest


@pytest.mark.parametrize("number", range(3))
def test_tells_its_process(number):
    process = pathlib.Path(os.environ["PYTEST_XDIST_WORKER"])
    time.sleep(0.1)
    with process.open("a") as told:
        told.write(f"{pathlib.Path(__file__).parent.name}/{pathlib.Path(__file__).stem}\\n")
"""


def test_services_stay_in_one_process_and_so_does_each_other_file(tmp_path: Path):
    for name in ("services/test_a", "services/test_b", "chart/test_a", "chart/test_b", "unit/test_a", "unit/test_b"):
        file = tmp_path / "tests" / f"{name}.py"
        file.parent.mkdir(parents=True, exist_ok=True)
        (file.parent / "__init__.py").touch()
        file.write_text(TELLS)
    shutil.copy(ROOT / "tests" / "conftest.py", tmp_path / "tests")
    (tmp_path / "pytest.ini").write_text("[pytest]\ntestpaths = tests/services tests/chart tests/unit\n")

    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-n", "2", "--no-loadscope-reorder"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    processes = defaultdict(set)
    for process in ("gw0", "gw1"):
        for file in (tmp_path / process).read_text().split():
            processes[file].add(process)
    assert len(processes) == 6
    assert all(len(of_file) == 1 for of_file in processes.values())
    assert processes["services/test_a"] == processes["services/test_b"]
    assert processes["chart/test_a"] == processes["chart/test_b"] != processes["services/test_a"]
