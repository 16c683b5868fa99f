"""A step of a pipeline is a process of its own, and much of a short one is imports: each loads what it uses.

In a fresh interpreter, since what a library of ours imports counts as well.
"""

import subprocess
import sys

import pytest


@pytest.mark.parametrize(
    ("module", "unused"),
    [
        ("watchnext.training.examples", {"torch", "pymilvus"}),  # it trains nothing and publishes nothing
    ],
)
def test_a_step_imports_nothing_heavy_that_it_does_not_use(module: str, unused: set[str]):
    look = f"import sys, {module}; print(*sorted(sys.modules))"
    done = subprocess.run([sys.executable, "-c", look], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    assert not unused & set(done.stdout.split())
