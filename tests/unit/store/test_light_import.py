"""Feast costs a process what we use of it, and leaves typeguard and torch to others as they are."""

import subprocess
import sys

LOOK = """
import sys
import watchnext.store.rows
assert "torch" not in sys.modules, "Feast loaded torch"
import feast, torch, typeguard
assert "typeguard" not in feast.FeatureView.__init__.__code__.co_names, "Feast's classes were recompiled"
assert torch.ones(2).sum() == 2
assert typeguard.typechecked is sys.modules["typeguard._decorators"].typechecked
print("as it was")
"""


def test_a_process_that_reads_features_loads_no_torch_and_others_keep_theirs():
    done = subprocess.run([sys.executable, "-c", LOOK], capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "as it was", done.stderr[-2000:]
