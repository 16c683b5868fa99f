import traceback
from pathlib import Path

import pytest

from watchnext.errors import ConfigError
from watchnext.settings import load_settings, without_passwords


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("kafak: {partitions: 8}", "there is no setting kafak; did you mean kafka?"),
        ("kafka: {partitons: 8}", "there is no setting kafka.partitons; did you mean kafka.partitions?"),
        ("zzz: 1", "there is no setting zzz; `watchnext config show` lists all"),
        ("[kafka]", "holds a list; wanted a mapping"),
        ("kafka: [", "cannot be read as YAML"),
        ("kafka: " + "[" * 5_000, "cannot be read as YAML: maximum recursion depth exceeded"),
        ("gateway: {experiment: 2026-02-30}", "cannot be read as YAML: day is out of range for month"),
        ("gateway: {write_served: !!bool perhaps}", "cannot be read as YAML: 'perhaps'"),
        ("1: {partitions: 8}", "1 came as a key; wanted a section or setting"),
        ("kafka.partitions: 8", "kafka.partitions came as one key; in YAML a setting stands in its section"),
    ],
)
def test_a_file_with_an_unknown_key_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, message: str
) -> None:
    file = tmp_path / "settings.yaml"
    file.write_text(text)
    monkeypatch.setenv("WATCHNEXT_CONFIG", str(file))

    with pytest.raises(ConfigError, match=r"settings\.yaml") as raised:
        load_settings()

    assert message in str(raised.value)


@pytest.mark.parametrize(
    ("text", "key"),
    [
        (r'{"home": "/tmp/\ud83d\ude00"}', "home"),
        (r'{"home": "/tmp/\u0000"}', "home"),
        (r'{"gateway": {"static_list": ["a", "\ud83d\ude00"]}}', "gateway.static_list"),
        (r'{"kafka": {"sasl_password": "hush\ud83d"}}', "kafka.sasl_password"),
    ],
)
def test_a_text_with_what_is_no_character_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, key: str
) -> None:
    """Verbs ended in a traceback; a gateway answered nothing once it had only its static list."""
    (tmp_path / "settings.json").write_text(text)
    monkeypatch.setenv("WATCHNEXT_CONFIG", str(tmp_path / "settings.json"))

    with pytest.raises(ConfigError, match=f"setting {key} holds NUL or a half of a character") as raised:
        load_settings()

    assert "hush" not in "".join(traceback.format_exception(raised.value))


def test_a_file_that_cannot_be_read_is_refused_in_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server ended in a traceback, and a verb asked whether `home` can be written."""
    monkeypatch.setenv("WATCHNEXT_CONFIG", "/proc/self/mem")  # whoever reads it, and be it root

    with pytest.raises(ConfigError, match=r"names /proc/self/mem, which cannot be read: Input/output error"):
        load_settings()


def test_an_empty_file_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "settings.yaml").write_text("# all defaults\n")
    monkeypatch.setenv("WATCHNEXT_CONFIG", str(tmp_path / "settings.yaml"))

    assert load_settings().kafka.partitions == 4


def test_a_variable_that_is_nested_without_end_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WATCHNEXT_GATEWAY__STATIC_LIST", "[" * 50_000)

    with pytest.raises(ConfigError, match=r"maximum recursion depth .*: lists and mappings stand .* as JSON"):
        load_settings()


@pytest.mark.parametrize("variable", ["WATCHNEXT_HOME", "WATCHNEXT_KAFKA__GROUP", "watchnext_kafka__sasl_password"])
def test_bytes_that_are_no_text_are_refused(monkeypatch: pytest.MonkeyPatch, variable: str) -> None:
    """`watchnext status` ended in a UnicodeEncodeError."""
    monkeypatch.setenv(variable, "/tmp/h\udce9")

    with pytest.raises(ConfigError, match=rf"^environment variable {variable} holds .* from character 6 on") as raised:
        load_settings()

    str(raised.value).encode()


def test_a_nested_variable_of_no_setting_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WATCHNEXT_KAFAK__PARTITIONS", "8")

    with pytest.raises(ConfigError, match=r"WATCHNEXT_KAFAK__PARTITIONS.*did you mean kafka\.partitions\?"):
        load_settings()


def test_variables_that_kubernetes_sets_for_services_stop_no_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WATCHNEXT_GATEWAY_SERVICE_HOST", "10.0.0.7")
    monkeypatch.setenv("WATCHNEXT_GATEWAY_PORT", "tcp://10.0.0.7:8000")

    assert load_settings().gateway.rest_port == 18000


@pytest.mark.parametrize(
    ("variable", "value", "message"),
    [
        ("API_KEYS", '[""]', r"gateway\.api_keys\.0"),  # it would let every caller pass who sends no key
        ("API_KEYS", '["one", "hüsh"]', r"gateway\.api_keys\.1 = a secret: .*wanted printable ASCII"),
        ("API_KEYS", '["hush\\n"]', r"gateway\.api_keys\.0 = a secret: .*without a space at its ends"),
        ("ARMS__NEW", "nan", r"gateway\.arms\.new"),
        ("ARMS__NEW", "-0.5", r"gateway\.arms\.new"),
        ("ARMS__NEW", "1e308", r"gateway\.arms\.new"),
    ],
)
def test_a_key_without_letters_and_a_share_that_is_none_are_refused(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str, message: str
) -> None:
    monkeypatch.setenv(f"WATCHNEXT_GATEWAY__{variable}", value)

    with pytest.raises(ConfigError, match=message):
        load_settings()


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("GATEWAY__API_KEYS", '"hush"'),
        ("GATEWAY__API_KEYS", '["", "hush"]'),
        ("GATEWAY__API_KEYS", '["hush\\n"]'),
        ("KAFKA", '{"sasl_password": ["hush"]}'),
    ],
)
def test_a_wrong_secret_is_refused_without_telling_it(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    monkeypatch.setenv(f"WATCHNEXT_{variable}", value)

    with pytest.raises(ConfigError, match=rf"= a secret: .* \(set WATCHNEXT_{variable}[A-Z_]* or the") as raised:
        load_settings()

    assert "hush" not in "".join(traceback.format_exception(raised.value))


@pytest.mark.parametrize(
    ("text", "came"), [("kafka: [{sasl_password: hush}]", "a list"), ('kafka: "sasl_password: hush"', "a str")]
)
def test_a_section_that_is_none_is_refused_without_the_secrets_in_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, came: str
) -> None:
    """One dash too many in the YAML, and the message held the password."""
    (tmp_path / "settings.yaml").write_text(text)
    monkeypatch.setenv("WATCHNEXT_CONFIG", str(tmp_path / "settings.yaml"))

    with pytest.raises(ConfigError, match=rf"setting kafka = {came}: Input should be a valid dictionary") as raised:
        load_settings()

    assert "hush" not in "".join(traceback.format_exception(raised.value))


def test_a_list_that_is_no_json_is_refused_without_telling_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WATCHNEXT_GATEWAY__API_KEYS", "hush")

    with pytest.raises(ConfigError, match=r"gateway.*as JSON, such as WATCHNEXT_GATEWAY__STATIC_LIST=") as raised:
        load_settings()

    assert "hush" not in str(raised.value)


def test_an_entry_of_a_mapping_is_a_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WATCHNEXT_GATEWAY__ARMS__NEW", "0.5")

    assert load_settings().gateway.arms == {"new": 0.5}


@pytest.mark.parametrize(
    ("name", "port"),
    [
        ("worker-1", 18091),
        ("worker-3", 18093),
        ("watchnext-materializer-0", 18091),
        ("watchnext-materializer-6c9d4b8f7d-24567", 18091),  # a pod's random suffix may be all digits
        ("w0", 18091),
    ],
)
def test_local_workers_share_an_address_and_pods_do_not(name: str, port: int) -> None:
    assert load_settings().ops.port_of_worker(name) == port


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("valkey:6379,password=hunter2,ssl=true", "valkey:6379,password=***,ssl=true"),
        ("valkey:6379, password=a=b", "valkey:6379, password=***"),
        ("postgresql+psycopg://feast:p@ss@h:5432/feast", "postgresql+psycopg://feast:***@h:5432/feast"),
        ("postgresql://feast:p/s?s@h:5432/feast", "postgresql://feast:***@h:5432/feast"),
        (
            "postgresql://h/feast?user=a&password=p/s&sslmode=require",
            "postgresql://h/feast?user=a&password=***&sslmode=require",
        ),
        ("valkey:6379,password=a?password=b&c", "valkey:6379,password=***"),
        ("postgresql://h:5432/feast", "postgresql://h:5432/feast"),
        ("s3://bucket/registry.db", "s3://bucket/registry.db"),
        ("/data/registry.db", "/data/registry.db"),
        ("http://127.0.0.1:9000/a@b", "http://127.0.0.1:9000/a@b"),
    ],
)
def test_an_address_keeps_all_but_its_password(address: str, shown: str) -> None:
    assert without_passwords(address) == shown


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("WATCHNEXT_FEATURES__LATE_DAYS", "inf"),
        ("WATCHNEXT_FEATURES__LATE_DAYS", "nan"),
        ("WATCHNEXT_GENERATIONS__REFRESH_MINUTES", "inf"),
        ("WATCHNEXT_GENERATIONS__REFRESH_MINUTES", "0.00001"),  # less than a millisecond: nothing to floor to
        ("WATCHNEXT_TRAINING__CLICK_WINDOW_MINUTES", "inf"),
        ("WATCHNEXT_GATEWAY__ARMS__NEW", "inf"),
    ],
)
def test_a_number_without_an_end_or_a_floor_is_refused(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    monkeypatch.setenv(variable, value)

    with pytest.raises(ConfigError, match=variable):
        load_settings()


@pytest.mark.parametrize(
    "variable",
    [
        "KAFKA__PARTITIONS",
        "KAFKA__SESSION_TIMEOUT_MS",
        "FEATURES__LATE_DAYS",
        "FEATURES__FUTURE_MINUTES",
        "GENERATIONS__REFRESH_MINUTES",
        "GENERATIONS__ACK_TIMEOUT_S",
        "GENERATIONS__POLL_S",
        "TRAINING__CLICK_WINDOW_MINUTES",
        "TRAINING__MAX_AGE_DAYS",
        "TRAINING__THREADS",
        "TRAINING__CHECKPOINT_MINUTES",
        "SERVING__DEADLINE_MS",
        "SERVING__RANKER_BUDGET_MS",
        "SERVING__BREAKER_SECONDS",
        "TORCHSERVE__WORKERS",
        "LOCAL__WORKERS",
    ],
)
def test_a_number_beyond_what_clocks_and_counts_hold_is_refused(monkeypatch: pytest.MonkeyPatch, variable: str) -> None:
    """A training ended in an OverflowError once its examples were made, a replica at its first wait."""
    monkeypatch.setenv(f"WATCHNEXT_{variable}", "1" + "0" * 30)

    with pytest.raises(ConfigError, match=f"than or equal to [0-9]+ .set WATCHNEXT_{variable} "):
        load_settings()


@pytest.mark.parametrize(("name", "value"), [("SEED", "-1"), ("TOWER", "[64, 0]"), ("RANKER", "[-3]")])
def test_what_no_model_can_be_made_with_is_refused_before_the_examples_are(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    """The training steps ended with errors of numpy and torch, once the examples were made."""
    monkeypatch.setenv(f"WATCHNEXT_TRAINING__{name}", value)

    with pytest.raises(ConfigError, match=f"WATCHNEXT_TRAINING__{name}"):
        load_settings()


def test_a_deadline_without_room_for_the_budgets_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """With 300 ms a hung ranker of 400 ms was asked at every request: its breaker never opened."""
    monkeypatch.setenv("WATCHNEXT_SERVING__DEADLINE_MS", "750")

    with pytest.raises(ConfigError) as raised:
        load_settings()

    assert str(raised.value) == (
        "setting serving.deadline_ms = 750: wanted more than 750, its inner budgets together "
        "(features_budget_ms = 150, index_budget_ms = 200, ranker_budget_ms = 400): "
        "raise it (set WATCHNEXT_SERVING__DEADLINE_MS or the YAML key) or lower those"
    )
    monkeypatch.setenv("WATCHNEXT_SERVING__RANKER_BUDGET_MS", "399")
    assert load_settings().serving.deadline_ms == 750


def test_an_empty_home_is_not_the_current_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WATCHNEXT_HOME", "")

    with pytest.raises(ConfigError, match=r"setting home = ''.*wanted a folder"):
        load_settings()
