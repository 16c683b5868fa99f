import importlib.util
from pathlib import Path

import pytest
import yaml
from feast.infra.online_stores.redis import RedisOnlineStore
from feast.repo_config import RepoConfig

from watchnext.errors import ConfigError
from watchnext.settings import Features, Settings
from watchnext.store.config import feature_store_document, online_options, repo_config

FEATURE_REPO = Path(__file__).parents[3] / "feature_repo"


def with_features(**features: str) -> Settings:
    return Settings(features=Features(**features))


@pytest.mark.parametrize(
    ("connection", "redis_type", "connection_string"),
    [
        ("127.0.0.1:16379", "redis", "127.0.0.1:16379,socket_timeout=5,socket_connect_timeout=2"),
        (
            "valkey:6379,password=a=b,ssl=true,socket_timeout=1",
            "redis",
            "valkey:6379,socket_timeout=1,socket_connect_timeout=2,password=a=b,ssl=true",
        ),
        ("a:1, b:2", "redis_cluster", "a:1,b:2,socket_timeout=5,socket_connect_timeout=2"),
        ("a:1,redis_type=redis_cluster", "redis_cluster", "a:1,socket_timeout=5,socket_connect_timeout=2"),
    ],
    ids=["one host", "options", "hosts are a cluster", "a cluster behind one name"],
)
def test_the_connection_string_says_which_store(connection: str, redis_type: str, connection_string: str) -> None:
    options = online_options(connection)

    assert options == {"type": "redis", "redis_type": redis_type, "connection_string": connection_string}


def test_feast_reads_hosts_and_options_out_of_our_string() -> None:
    options = online_options("valkey:6379,password=secret,ssl=true")

    hosts, client = RedisOnlineStore._parse_connection_string(options["connection_string"])

    assert hosts == [{"host": "valkey", "port": "6379"}]
    assert client == {"password": "secret", "ssl": True, "socket_timeout": 5, "socket_connect_timeout": 2}


@pytest.mark.parametrize(
    "password", ["hunter2", "a,b", "a,b:1", "12e4", "0123", "true", "null", '"q"', "a=b", "p\\w,ü"]
)
def test_a_password_of_its_own_reaches_the_client_as_it_is(password: str) -> None:
    config = repo_config(with_features(online="valkey:6379,ssl=true", online_password=password))

    hosts, client = RedisOnlineStore._parse_connection_string(config.online_store.connection_string)

    assert hosts == [{"host": "valkey", "port": "6379"}]
    assert client["password"] == password


def test_a_password_of_its_own_is_in_no_message() -> None:
    assert "hunter2" not in str(with_features(online_password="hunter2"))


def test_options_of_the_store_go_to_the_store() -> None:
    config = repo_config(with_features(online="s:26379,redis_type=redis_sentinel,sentinel_master=m,key_ttl_seconds=60"))

    assert config.online_store.redis_type == "redis_sentinel"
    assert (config.online_store.sentinel_master, config.online_store.key_ttl_seconds) == ("m", 60)


@pytest.mark.parametrize(
    "connection",
    [
        "",
        "valkey",
        "6379",
        ":6379,password=hunter2",
        "redis://valkey:6379",
        "[::1]:6379",
        "password=hunter2",
        "valkey:port,password=hunter2",
    ],
)
def test_a_string_without_host_and_port_names_the_setting_and_hides_the_password(connection: str) -> None:
    with pytest.raises(ConfigError, match="WATCHNEXT_FEATURES__ONLINE") as raised:
        online_options(connection)

    assert "hunter2" not in str(raised.value)


@pytest.mark.parametrize(
    ("registry", "kind"),
    [("/data/registry.db", "file"), ("s3://bucket/registry.db", "file"), ("postgresql+psycopg://u:p@h/feast", "sql")],
)
def test_a_database_url_is_an_sql_registry(registry: str, kind: str) -> None:
    assert feature_store_document(with_features(registry=registry))["registry"] == {
        "registry_type": kind,
        "path": registry,
    }


def test_an_unknown_offline_scheme_says_what_there_is() -> None:
    with pytest.raises(ConfigError, match="spark://FOLDER"):
        feature_store_document(with_features(offline="snowflake://x"))


@pytest.mark.skipif(importlib.util.find_spec("pyspark") is not None, reason="pyspark is installed")
def test_an_engine_that_is_not_installed_is_named() -> None:
    with pytest.raises(ConfigError, match="spark://"):
        repo_config(with_features(offline="spark:///data/offline"))


def test_what_feast_refuses_is_a_config_error() -> None:
    with pytest.raises(ConfigError, match="redis_type") as raised:
        repo_config(with_features(online="a:1,redis_type=cluster,password=hunter2"))

    assert "hunter2" not in str(raised.value)
    assert raised.value.__suppress_context__, "Feast's own text shows the password"


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("feature_store.yaml", Settings(home=Path(".watchnext"))),
        (
            "feature_store.cluster-spark.yaml",
            with_features(
                online="valkey-0.valkey:6379,valkey-1.valkey:6379,valkey-2.valkey:6379,"
                "ssl=true,password=${FEAST_ONLINE_PASSWORD}",
                offline="spark://s3a://features/offline",
                registry="postgresql+psycopg://feast:${FEAST_REGISTRY_PASSWORD}@postgres:5432/feast",
            ),
        ),
        (
            "feature_store.cluster-bigquery.yaml",
            with_features(
                online="10.0.0.3:6379,ssl=true,password=${FEAST_ONLINE_PASSWORD}",
                offline="bigquery://my-project.watchnext",
                registry="gs://my-bucket/feast/registry.db",
            ),
        ),
    ],
)
def test_each_example_file_is_what_the_settings_in_it_give(name: str, settings: Settings) -> None:
    """So an example cannot rot; and Feast's own model reads it, as far as the engine's extra is installed."""
    document = yaml.safe_load((FEATURE_REPO / name).read_text(encoding="utf-8"))
    written = feature_store_document(settings)
    if name == "feature_store.yaml":
        assert document["registry"].pop("path") == "../.watchnext/feast/registry.db"
        del written["registry"]["path"]
    assert document["offline_store"].pop("spark_conf", {}) is not None  # tuning that only the file has
    assert document == written

    engine = {"spark": "pyspark", "bigquery": "google.cloud.bigquery"}.get(written["offline_store"]["type"])
    if engine is not None and not _installed(engine):
        document["offline_store"] = {"type": "duckdb"}
    config = RepoConfig(**{**document, "registry": {"path": "r.db", **document["registry"]}})
    assert config.online_store.redis_type == written["online_store"]["redis_type"]
    assert config.offline_store.type == document["offline_store"]["type"]


def _installed(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:
        return False
