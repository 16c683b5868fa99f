"""A step of a pipeline is a process of its own, and much of a short one is imports: each loads what it uses.

In a fresh interpreter, since what a library of ours imports counts as well.
"""

import subprocess
import sys

import pytest

STEP = """
import sys, torch
from watchnext.training.optimiser import Optimiser
model = torch.nn.Sequential(torch.nn.Embedding(9, 2, sparse=True), torch.nn.Linear(2, 1))
optimiser = Optimiser(model, learning_rate=0.1)
optimiser.zero_grad()
model(torch.tensor([3, 4])).sum().backward()
optimiser.step()
print(*sorted(sys.modules))
"""


@pytest.mark.parametrize(
    ("module", "unused"),
    [
        ("watchnext.training.examples", {"torch", "pymilvus"}),  # it trains nothing and publishes nothing
        ("watchnext.training.build", {"pymilvus", "pandas", "tensorboard"}),  # it trains nothing and fills no index
        ("watchnext.training.publish", {"scipy", "tensorboard"}),  # it reads no examples and trains nothing
    ],
)
def test_a_step_imports_nothing_heavy_that_it_does_not_use(module: str, unused: set[str]):
    assert not unused & loaded_by(f"import sys, {module}; print(*sorted(sys.modules))")


def test_a_step_of_a_training_loads_no_compiler():
    assert "torch._dynamo" not in loaded_by(STEP)


def loaded_by(code: str) -> set[str]:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return set(done.stdout.split())
