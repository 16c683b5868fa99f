import pytest
import structlog

from serving.logs import last_words
from watchnext.errors import ConfigError


def test_a_wrong_setting_ends_a_server_with_a_line_of_its_log():
    with structlog.testing.capture_logs() as logs, pytest.raises(SystemExit) as ended, last_words("gateway"):
        raise ConfigError("there is no setting kafak")

    assert ended.value.code == 2
    assert [(one["event"], one["error"]) for one in logs] == [("gateway_failed", "there is no setting kafak")]
