import subprocess
import sys
from pathlib import Path

WARNS_AND_FAILS = """
import sys, structlog
from benchmarks import serving
from watchnext.errors import WatchnextError

def fail(settings):
    structlog.get_logger().warning("feature_store_failed")
    raise WatchnextError("no stack")

serving.Bench.open = fail
sys.exit(serving.main())
"""


def test_a_warning_does_not_corrupt_the_json(tmp_path: Path) -> None:
    command = [sys.executable, "-c", WARNS_AND_FAILS, "--json"]
    run = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)

    assert run.returncode == 1
    assert run.stdout == ""
    assert "feature_store_failed" in run.stderr
    assert "error: no stack" in run.stderr
