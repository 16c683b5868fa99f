import json
import subprocess
import sys
from pathlib import Path

import pytest

from watchnext.cli.main import VERBS


def watchnext(*arguments: str, home: Path) -> subprocess.CompletedProcess[str]:
    command = [str(Path(sys.executable).parent / "watchnext"), "--set", f"home={home}", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["up", "--only", "redis"], "error: no server is called redis"),
        (["down", "--only", ","], "error: --only ',' names no server"),
        (["--set", "kafka.partitions=0", "status"], "error: setting kafka.partitions = '0'"),
        (["--set", "kafak.partitions=8", "status"], "no setting kafak.partitions; did you mean kafka.partitions?"),
        (["--set", "kafka.sasl_pasword=hush", "status"], "error: --set kafka.sasl_pasword: there is no setting"),
        (["--set", "kafka", "status"], "error: --set 'kafka' came; wanted KEY=VALUE"),
        (["--config", "nowhere.yaml", "status"], "error: WATCHNEXT_CONFIG names nowhere.yaml"),
        (["frobnicate"], "No such command"),
        (["status", "--frob"], "No such option"),
    ],
)
def test_misuse_exits_2_without_a_traceback(tmp_path: Path, arguments: list[str], message: str):
    run = watchnext(*arguments, home=tmp_path)

    assert run.returncode == 2
    assert message in run.stderr
    assert "Traceback" not in run.stderr
    assert run.stdout == ""


def test_status_of_a_fresh_home_is_json_and_all_stopped(tmp_path: Path):
    run = watchnext("status", "--json", home=tmp_path)

    servers = json.loads(run.stdout)["servers"]
    assert run.returncode == 0
    assert {server["state"] for server in servers} == {"stopped"}
    assert servers[0]["name"] == "kafka"
    assert servers[0]["log"] == str(tmp_path / "logs" / "kafka.log")


def test_down_of_a_fresh_home_is_harmless(tmp_path: Path):
    run = watchnext("down", "--json", home=tmp_path)

    assert (run.returncode, json.loads(run.stdout)) == (0, {"stopped": []})


@pytest.mark.parametrize(
    "arguments", [["status", "--json"], ["down"], ["pipeline", "run"], ["demo", "--data", "simulator", "--json"]]
)
@pytest.mark.parametrize("home_is", ["a file", "a link to itself"])
def test_a_home_that_is_no_folder_fails_in_a_sentence(tmp_path: Path, arguments: list[str], home_is: str):
    home = tmp_path / "home"
    if home_is == "a file":
        home.write_text("no folder")
    else:
        home.symlink_to(home)

    run = watchnext(*arguments, home=home)

    assert (run.returncode, run.stdout) == (1, "")
    assert run.stderr.startswith("error: [Errno ")
    assert str(home) in run.stderr
    assert "WATCHNEXT_HOME" in run.stderr
    assert "Traceback" not in run.stderr


@pytest.mark.parametrize("letters", ["utf-8", "ascii"])
def test_a_file_whose_name_is_no_text_ends_no_verb(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, letters: str
) -> None:
    file = tmp_path / "gr\udcfcn-é.yaml"
    file.write_text("nodes: {}")
    monkeypatch.setenv("PYTHONIOENCODING", letters)

    told, read = (watchnext("graph", "lint", str(file), *flags, home=tmp_path) for flags in ([], ["--json"]))

    assert (told.returncode, read.returncode) == (1, 1)
    assert "gr\\udcfcn" in told.stdout
    assert json.loads(read.stdout)["file"] == str(file)


@pytest.mark.parametrize(
    ("verb", "closed", "code"),
    [("config show --json", ">&-", 0), ("config show", ">&-", 0), ("--set kafka status --json", "2>&-", 2)],
)
def test_a_closed_stream_ends_no_verb_and_gets_nothing_of_the_other(
    tmp_path: Path, verb: str, closed: str, code: int
) -> None:
    command = f"{Path(sys.executable).parent}/watchnext --set home={tmp_path} {verb} {closed}"

    run = subprocess.run(command, shell=True, capture_output=True, text=True, check=False, timeout=120)

    assert (run.returncode, run.stdout, run.stderr) == (code, "", "")


def test_status_does_not_import_what_is_heavy():
    heavy = "{'torch', 'feast', 'kafka', 'pymilvus', 'kserve', 'kfp', 'pandas', 'pyarrow'}"
    code = f"import sys, watchnext.cli.main, watchnext.cli.status; print(sorted({heavy} & set(sys.modules)))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert run.stdout.strip() == "[]"


def test_config_show_tells_where_a_value_came_from_and_hides_secrets(tmp_path: Path):
    file = tmp_path / "settings.yaml"
    file.write_text(
        "kafka: {group: mine, sasl_password: hush}\n"
        "features: {online: 'valkey:6379,password=hush', registry: 'postgresql+psycopg://feast:hush@h:5432/feast'}\n"
    )

    run = watchnext("--config", str(file), "--set", "kafka.partitions=8", "config", "show", "--json", home=tmp_path)

    rows = {row["setting"]: (row["value"], row["from"]) for row in json.loads(run.stdout)["settings"]}
    assert rows["kafka.partitions"] == (8, "flag --set")
    assert rows["kafka.group"] == ("mine", f"file {file}")
    assert rows["kafka.session_timeout_ms"] == (10_000, "default")
    assert rows["kafka.sasl_password"] == ("********", f"file {file}")
    assert rows["features.online"] == ("valkey:6379,password=***", f"file {file}")
    assert rows["features.registry"] == ("postgresql+psycopg://feast:***@h:5432/feast", f"file {file}")
    assert "hush" not in run.stdout + run.stderr


def test_a_flag_is_the_origin_of_what_it_sets_and_of_no_more(tmp_path: Path):
    flags = ("--set", 'kafka={"partitions": 8}', "--set", "GATEWAY.ARMS.New=1")

    run = watchnext(*flags, "config", "show", "--json", home=tmp_path)

    origins = {row["setting"]: row["from"] for row in json.loads(run.stdout)["settings"]}
    assert origins["kafka.partitions"] == "flag --set"
    assert origins["kafka.group"] == "default"
    assert origins["gateway.arms.new"] == "flag --set"
    assert origins["gateway.host"] == "default"


def test_a_flag_goes_before_a_variable_of_the_same_setting_and_of_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """The variable of a setting went before the flag of its section, and the flag was told as its origin."""
    monkeypatch.setenv("WATCHNEXT_KAFKA__PARTITIONS", "2")
    monkeypatch.setenv("watchnext_kafka__group", "of the shell")
    monkeypatch.setenv("WATCHNEXT_KAFKA__BATCH_EVENTS", "9")
    flags = ("--set", 'kafka={"partitions": 8, "group": "of the flag"}')

    run = watchnext(*flags, "config", "show", "--json", home=tmp_path)

    rows = {row["setting"]: (row["value"], row["from"]) for row in json.loads(run.stdout)["settings"]}
    assert rows["kafka.partitions"] == (8, "flag --set")
    assert rows["kafka.group"] == ("of the flag", "flag --set")
    assert rows["kafka.batch_events"] == (9, "environment")


def test_an_empty_section_of_a_file_sets_nothing(tmp_path: Path):
    file = tmp_path / "settings.yaml"
    file.write_text("kafka: {}\ngateway: {arms: {}}\n")

    run = watchnext("--config", str(file), "config", "show", "--json", home=tmp_path)

    rows = {row["setting"]: row["from"] for row in json.loads(run.stdout)["settings"]}
    assert rows["kafka.partitions"] == "default"
    assert rows["gateway.arms"] == f"file {file}"


def test_config_show_names_a_variable_that_nothing_reads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("WATCHNEXT_PROFLE", "tiny")

    told = watchnext("config", "show", home=tmp_path)
    as_json = watchnext("config", "show", "--json", home=tmp_path)

    assert "WATCHNEXT_PROFLE is set and names no setting; did you mean WATCHNEXT_PROFILE?" in told.stdout
    assert json.loads(as_json.stdout)["unread"] == {"WATCHNEXT_PROFLE": "WATCHNEXT_PROFILE"}


def test_help_names_every_verb(tmp_path: Path):
    run = watchnext("--help", home=tmp_path)

    assert run.returncode == 0
    assert all(f" {verb} " in run.stdout for verb in VERBS)
