"""Feast costs a process what we use of it, and leaves typeguard, torch and metrics to others as they are."""

import os
import subprocess
import sys

LOOK = """
import os, sys
import watchnext.store.rows
assert "torch" not in sys.modules, "Feast loaded torch"
import feast, torch, typeguard
assert "typeguard" not in feast.FeatureView.__init__.__code__.co_names, "Feast's classes were recompiled"
assert not [name for name in os.environ if "MULTIPROC" in name], "Feast changed how processes of ours count"
from prometheus_client import values
assert values.ValueClass is values.MutexValue, "metrics are kept in files"
assert torch.ones(2).sum() == 2
assert typeguard.typechecked is sys.modules["typeguard._decorators"].typechecked
print("as it was")
"""


def test_a_process_that_reads_features_loads_no_torch_and_leaves_metrics_in_memory():
    clean = {name: value for name, value in os.environ.items() if "MULTIPROC" not in name}  # another test has feast
    done = subprocess.run([sys.executable, "-c", LOOK], capture_output=True, text=True, check=False, env=clean)
    assert done.stdout.strip() == "as it was", done.stderr[-2000:]
