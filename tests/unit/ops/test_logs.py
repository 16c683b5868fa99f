import json
import os
import subprocess
import sys

import pytest
import structlog

from watchnext.errors import ConfigError
from watchnext.ops.logs import last_words


def test_a_wrong_setting_ends_a_server_with_a_line_of_its_log():
    with structlog.testing.capture_logs() as logs, pytest.raises(SystemExit) as ended, last_words("gateway"):
        raise ConfigError("there is no setting kafak")

    assert ended.value.code == 2
    assert [(one["event"], one["error"]) for one in logs] == [("gateway_failed", "there is no setting kafak")]


@pytest.mark.parametrize(
    ("module", "event"), [("watchnext.stream.worker", "worker_failed"), ("model_handlers.follower", "follower_failed")]
)
def test_a_process_that_is_set_wrong_says_so_in_a_json_line_and_is_misused(module: str, event: str):
    """The follower ended in a traceback, with 1."""
    wrong = {**os.environ, "WATCHNEXT_KAFAK__PARTITIONS": "8"}
    ended = subprocess.run([sys.executable, "-m", module], env=wrong, capture_output=True, text=True, check=False)

    assert ended.returncode == 2
    assert ended.stdout == ""
    line = ended.stderr.splitlines()[-1]  # Feast turns the deprecation warnings of all libraries on
    assert json.loads(line)["event"] == event
    assert "did you mean kafka.partitions?" in json.loads(line)["error"]
