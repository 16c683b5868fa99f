import subprocess
import sys
from pathlib import Path

from redis import SSLConnection

from benchmarks.serving import redis_of
from watchnext.settings import Features, Settings

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


def test_the_raw_read_reaches_the_store_as_the_product_does(tmp_path: Path) -> None:
    """A store with a password or TLS refused the bench, whatever the settings said."""
    online = Features(online="cache.example:6380,ssl=true,db=2", online_password="a,b")
    pool = redis_of(Settings(home=tmp_path, features=online)).connection_pool

    reached = {name: pool.connection_kwargs[name] for name in ("host", "password", "db")}
    assert reached == {"host": "cache.example", "password": "a,b", "db": 2}
    assert pool.connection_class is SSLConnection


def test_a_warning_does_not_corrupt_the_json(tmp_path: Path) -> None:
    command = [sys.executable, "-c", WARNS_AND_FAILS, "--json"]
    run = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)

    assert run.returncode == 1
    assert run.stdout == ""
    assert "feature_store_failed" in run.stderr
    assert "error: no stack" in run.stderr
