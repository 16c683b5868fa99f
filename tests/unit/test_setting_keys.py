import pytest

from watchnext.errors import ConfigError
from watchnext.setting_keys import check_key, key_of, unread_variables, variable_of
from watchnext.settings import Settings


def test_a_setting_has_one_environment_name() -> None:
    assert variable_of("kafka.session_timeout_ms") == "WATCHNEXT_KAFKA__SESSION_TIMEOUT_MS"
    assert key_of("WATCHNEXT_KAFKA__SESSION_TIMEOUT_MS") == "kafka.session_timeout_ms"


@pytest.mark.parametrize("key", ["home", "kafka", "kafka.partitions", "gateway.arms.a", "gateway.api_keys"])
def test_settings_sections_and_entries_are_known(key: str) -> None:
    check_key(Settings, key, "--set")


@pytest.mark.parametrize(
    ("key", "nearest"),
    [
        ("kafak.partitions", "did you mean kafka.partitions?"),
        ("partitions", "did you mean kafka.partitions?"),
        ("gateway.api_keys.0", "did you mean gateway.api_keys?"),
        ("training.epoch", "did you mean training.epochs?"),
        ("quux", "`watchnext config show` lists all"),
    ],
)
def test_an_unknown_key_is_refused_with_the_nearest(key: str, nearest: str) -> None:
    with pytest.raises(ConfigError) as raised:
        check_key(Settings, key, "--set")

    assert str(raised.value) == f"--set: there is no setting {key}; {nearest}"


def test_variables_that_nothing_reads_are_named_with_the_nearest() -> None:
    set_here = [
        "WATCHNEXT_CONFIG",
        "WATCHNEXT_SERVER",
        "WATCHNEXT_STARTER",
        "WATCHNEXT_CLUSTER_NAMESPACE",
        "WATCHNEXT_HOME",
        "WATCHNEXT_KAFKA__GROUP",
        "WATCHNEXT_TRAINING",
        "PATH",
        "WATCHNEXT_PROFLE",
        "WATCHNEXT_XYZZY",
    ]

    assert unread_variables(Settings, set_here) == {"WATCHNEXT_PROFLE": "WATCHNEXT_PROFILE", "WATCHNEXT_XYZZY": ""}
