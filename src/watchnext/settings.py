"""The settings tree: flag > env `WATCHNEXT_*` (`__` nests) > YAML (`WATCHNEXT_CONFIG`) > default.

The chart's `config:` is this same tree. `Settings().kafka.bootstrap` is how code reads one; nothing else reads the
environment.
"""

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

import yaml
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, ValidationError
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
    YamlConfigSettingsSource,
)

from watchnext.clock import DAY_MS, LONGEST_DAYS
from watchnext.errors import ConfigError
from watchnext.features.spec import HISTORY
from watchnext.setting_keys import PREFIX, check_variables, leaves, no_such_key, variable_of
from watchnext.yaml_errors import YAML_ERRORS

Profile = Literal["tiny", "small", "full"]
LAST_PORT = 65_535
Port = Annotated[int, Field(ge=1, le=LAST_PORT)]
Days = Annotated[float, Field(le=LONGEST_DAYS)]
Minutes = Annotated[float, Field(le=LONGEST_DAYS * 1_440)]
Seconds = Annotated[float, Field(le=LONGEST_DAYS * 86_400)]
Milliseconds = Annotated[int, Field(le=DAY_MS)]  # of a request
Parallel = Annotated[int, Field(le=1_000)]  # all topics of ours are made at once, and Kafka makes 10,000 partitions


def _named(folder: Any) -> Any:
    """An empty variable is a shell's slip: as a path it would be the current folder."""
    if folder == "":
        raise ValueError("an empty name came; wanted a folder, . for the current one")
    return folder


def _fit_for_a_header(key: SecretStr) -> SecretStr:
    """Of another key each caller would be told that it is unknown."""
    text = key.get_secret_value()
    if not (text.isascii() and text.isprintable() and text == text.strip()):
        raise ValueError("a key no header carries came; wanted printable ASCII without a space at its ends")
    return key


class Section(BaseModel):
    """A branch of the tree: unknown keys are errors, defaults are checked, numbers are finite, as JSON has them."""

    model_config = ConfigDict(extra="forbid", validate_default=True, frozen=True, allow_inf_nan=False)


class Kafka(Section):
    """The broker and our consumer groups."""

    bootstrap: str = "127.0.0.1:19092"
    partitions: Parallel = Field(4, ge=1, description="of every topic of ours; all input topics share it")
    group: str = "watchnext-materializer"
    session_timeout_ms: Milliseconds = Field(10_000, ge=1_000)
    batch_events: int = Field(5_000, ge=1, description="events folded and written together")
    security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    sasl_mechanism: str = ""
    sasl_username: str = ""
    sasl_password: SecretStr = SecretStr("")
    ssl_cafile: str = ""


class Features(Section):
    """The feature store and the event archive."""

    online: str = Field("127.0.0.1:16379", description="host:port of Valkey or Redis, as Feast's connection string")
    online_password: SecretStr = Field(SecretStr(""), description="of the online store, where it is not in `online`")
    registry: str = Field("", description="Feast registry path or URL; empty: <home>/feast/registry.db")
    archive: str = Field("", description="folder of the event archive, which all workers mount; empty: <home>/archive")
    offline: str = Field("", description="folder of the offline feature log; empty: <home>/offline")
    late_days: Days = Field(7, gt=0, description="events later than this go to the archive only")
    future_minutes: Minutes = Field(10, ge=0, description="events further ahead than this are dead letters")


class Milvus(Section):
    """The vector index."""

    uri: str = Field("http://127.0.0.1:19530", description="Milvus Lite server, standalone or cluster")
    token: SecretStr = SecretStr("")


class Generations(Section):
    """The generation store."""

    url: str = Field("", description="folder or fsspec URL, such as s3://bucket/prefix; empty: <home>/generations")
    endpoint: str = Field(
        "", pattern=r"^(https?://\S+)?$", description="URL of the bucket's S3-compatible server; empty: AWS"
    )
    region: str = Field("", description="of the bucket; empty: AWS_DEFAULT_REGION")
    refresh_minutes: Minutes = Field(60, ge=0.01, description="interval to which video counters are floored")
    ack_timeout_s: Seconds = Field(60, gt=0, description="wait for every replica to load a staged generation")
    poll_s: Seconds = Field(0.5, gt=0, description="how often a replica looks at the pointer")
    kept: int = Field(
        5, ge=1, description="newest generations that stay in the store, beside what is live and previous"
    )


class Training(Section):
    """How models are fitted. What is 0 comes from the profile."""

    seed: int = Field(7, ge=0)
    cap_per_user: int = Field(0, ge=0, description="K examples a user for the towers")
    epochs: int = Field(0, ge=0, description="of the ranker")
    tower_epochs: int = Field(0, ge=0)
    batch: int = Field(0, ge=0)
    embedding_dim: int = Field(0, ge=0, description="width of what vectors tell of taste")
    tower: list[Annotated[int, Field(ge=1)]] = Field([], description="hidden layers of the user tower")
    ranker: list[Annotated[int, Field(ge=1)]] = Field([], description="hidden layers of the ranker")
    negatives: int = Field(0, ge=0, description="sampled negatives a batch")
    pooling: Literal["average", "sum", "max", "attention"] = "average"
    windows: list[Annotated[int, Field(ge=1, le=HISTORY)]] = Field(
        [], description="the last so many watches, each pooled on its own"
    )
    learning_rate: float = Field(0, ge=0, description="of the ranker's layers")
    id_rate: float = Field(0, ge=0, description="learning rate of the ranker's ids (docs/adr/0039)")
    tower_learning_rate: float = Field(0, ge=0, description="of the towers' layers")
    tower_id_rate: float = Field(0, ge=0, description="learning rate of the towers' ids (row-wise Adagrad)")
    ranking_weight: Literal["expected", "paper"] = "expected"
    click_window_minutes: Minutes = Field(30, gt=0)
    max_age_days: Days = Field(0, ge=0, description="oldest tower example; 0: all")
    split_at_ms: int = Field(0, ge=0, description="epoch ms: labels from it on are held out; 0: the last tenth")
    threads: Parallel = Field(0, ge=0, description="0: one for torch; for encoding a process a core, at most 8")
    precision: Literal["float32", "bfloat16"] = Field("float32", description="of the layers' arithmetic in training")
    checkpoint_minutes: Minutes = Field(10, ge=0, description="between two checkpoints of a training; 0: none")
    gate_recall_factor: float = Field(
        1.0, ge=0, description="the towers' recall@50 must be at least this times that of Popular and of item cosine"
    )
    gate_min_auc: float = Field(0.55, ge=0, le=1, description="the ranker's held-out AUC must be at least this")


class Serving(Section):
    """Retrieval, ranking and the ladder."""

    candidates: int = Field(500, ge=1, le=2_000)
    deadline_ms: Milliseconds = Field(1_000, ge=10, description="default budget of one answer")
    features_budget_ms: Milliseconds = Field(150, ge=1)
    index_budget_ms: Milliseconds = Field(200, ge=1)
    ranker_budget_ms: Milliseconds = Field(400, ge=1)
    breaker_failures: int = Field(5, ge=1, description="failures in a row that open the ranker's breaker")
    breaker_seconds: Seconds = Field(2, gt=0, description="how long the breaker stays open")
    allow_client_time: bool = Field(False, description="honour now_ms of a request (tests, replays)")
    host: str = "127.0.0.1"
    retrieval_port: Port = 18080
    ranking_port: Port = 18081
    ranker_url: str = "http://127.0.0.1:18085"


class TorchServe(Section):
    """The predictor's own ports, and its workers. Management and gRPC are on loopback always."""

    host: str = Field("127.0.0.1", description="address of the inference and metrics ports")
    inference_port: Port = 18085
    management_port: Port = 18086
    metrics_port: Port = 18087
    grpc_port: Port = 18088
    grpc_management_port: Port = 18089
    workers: Parallel = Field(1, ge=1)
    model_store: str = Field("", description="folder of the archives; empty: <home>/torchserve/model-store")


class Gateway(Section):
    """REST and gRPC for applications."""

    host: str = "127.0.0.1"
    rest_port: Port = 18000
    grpc_port: Port = 18001
    graph_url: str = "http://127.0.0.1:8080"
    api_keys: list[Annotated[SecretStr, Field(min_length=1), AfterValidator(_fit_for_a_header)]] = Field(
        [], description="empty: no authentication"
    )
    max_concurrent: int = Field(64, ge=1, description="requests in flight; more are shed with 503")
    static_list: list[str] = Field(
        [], description="video ids for when the graph is down; empty: the live generation's popular videos"
    )
    write_served: bool = True
    write_impressions: bool = Field(False, description="stand in for a client that writes no impressions")
    experiment: str = ""
    arms: dict[str, Annotated[float, Field(ge=0, le=1e9)]] = Field(
        {}, description="arm to share; sticky by hash of user and experiment"
    )


class Ops(Section):
    """What operators look at: pages of the processes that have no HTTP of their own, and traces."""

    host: str = Field("127.0.0.1", description="where worker and follower serve /metrics, /healthz and /readyz")
    worker_port: Port = Field(18091, description="of a worker; the local worker-N adds N - 1")
    follower_port: Port = Field(18099, description="of the follower beside TorchServe")
    otlp_endpoint: str = Field(
        "", pattern=r"^(https?://\S+)?$", description="OTLP over HTTP, such as http://collector:4318; empty: no traces"
    )
    trace_share: float = Field(1.0, ge=0, le=1, description="of the requests that come without a trace of their own")

    def port_of_worker(self, name: str) -> int:
        """The port of a worker by its name: a pod has an address of its own, local workers share one."""
        local = re.fullmatch(r"worker-(\d{1,4})", name)
        return self.worker_port + (int(local[1]) - 1 if local else 0)


class Local(Section):
    """Ports and memory of the servers that `watchnext up` starts, where no client setting has them."""

    router_port: Literal[8080] = 8080  # the upstream router listens there, always
    kafka_controller_port: Port = 19093
    workers: Parallel = Field(2, ge=1, description="materializer processes")
    kafka_heap: str = "256m"


class Settings(BaseSettings):
    """All settings of all processes."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_nested_delimiter="__",
        extra="forbid",
        frozen=True,
        validate_default=True,
    )

    home: Annotated[Path, BeforeValidator(_named)] = Field(
        Path(".watchnext"), description="state of the local servers, data, logs"
    )
    shared: Path = Field(Path("../shared"), description="shared real data, where there is any")
    profile: Profile = "small"
    kafka: Kafka = Kafka()
    features: Features = Features()
    milvus: Milvus = Milvus()
    generations: Generations = Generations()
    training: Training = Training()
    serving: Serving = Serving()
    torchserve: TorchServe = TorchServe()
    gateway: Gateway = Gateway()
    ops: Ops = Ops()
    local: Local = Local()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Flag > env > YAML > default."""
        path = os.environ.get("WATCHNEXT_CONFIG")
        yaml = (YamlConfigSettingsSource(settings_cls, yaml_file=path),) if path else ()
        return (init_settings, env_settings, *yaml)

    @property
    def archive_path(self) -> str:
        """Folder of the event archive."""
        return self.features.archive or str(self.home.absolute() / "archive")

    @property
    def offline_path(self) -> str:
        """Folder of the offline feature log."""
        return self.features.offline or str(self.home.absolute() / "offline")

    @property
    def registry_path(self) -> str:
        """Feast's registry."""
        return self.features.registry or str(self.home.absolute() / "feast" / "registry.db")

    @property
    def generations_url(self) -> str:
        """The generation store."""
        return self.generations.url or str(self.home.absolute() / "generations")

    @property
    def model_store_path(self) -> str:
        """TorchServe's model store."""
        return self.torchserve.model_store or str(self.home.absolute() / "torchserve" / "model-store")


def load_settings(**flags: Any) -> Settings:
    """The merged tree, with `flags` on top.

    Raises:
        ConfigError: a value is wrong, or a key is unknown; the message names the setting, what came, and its
            environment variable or the nearest key. Or `serving.deadline_ms` leaves no room for its budgets, or a text
            holds what is no character.
    """
    path = os.environ.get("WATCHNEXT_CONFIG")
    if path:
        _check_file(Path(path))
    check_variables(Settings, os.environ)
    _check_text(os.environ)
    try:
        settings = Settings(**flags)
    except (SettingsError, RecursionError) as error:  # it names the section, and never the value, which may be a secret
        raise ConfigError(
            f"{error}: lists and mappings stand in the environment as JSON, such as "
            f"""{variable_of("gateway.static_list")}='["video-1", "video-2"]'"""
        ) from error
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        if first["type"] == "extra_forbidden":  # the environment is checked: it came from the file
            raise no_such_key(Settings, key, path or "settings") from error
        setting = ".".join(part for part in first["loc"] if isinstance(part, str))  # a list's entry has no variable
        kind, value = _kind_of(first["loc"]), first.get("input")
        secret = _holds_secret(kind)
        told = f"a {type(value).__name__}" if _is_section(kind) else "a secret"
        came = told if secret else repr(value)
        raise ConfigError(f"setting {key} = {came}: {first['msg']} (set {variable_of(setting)} or the YAML key)") from (
            None if secret else error
        )
    _check_characters(settings)
    _check_deadline(settings.serving)
    return settings


def _check_characters(settings: Settings) -> None:
    """PyYAML reads an emoji that JSON escapes as two halves, which no file or socket takes; no path takes NUL."""
    for key, value in leaves(settings.model_dump()):
        try:
            odd = b"\0" in "".join(_texts(key, value)).encode()
        except UnicodeEncodeError:
            odd = True
        if odd:
            raise ConfigError(
                f"setting {key} holds NUL or a half of a character, as JSON escapes it: write the character itself "
                f"(set {variable_of(key)} or the YAML key)"
            )


def _texts(*values: Any) -> Iterator[str]:
    for value in values:
        if isinstance(value, list):
            yield from _texts(*value)
        else:
            yield value.get_secret_value() if isinstance(value, SecretStr) else str(value)


def _check_deadline(serving: Serving) -> None:
    """A guard whose budget the deadline always cuts never opens its breaker (docs/ladder.md)."""
    budgets = ("features_budget_ms", "index_budget_ms", "ranker_budget_ms")
    together = sum(getattr(serving, name) for name in budgets)
    if serving.deadline_ms <= together:
        told = ", ".join(f"{name} = {getattr(serving, name)}" for name in budgets)
        raise ConfigError(
            f"setting serving.deadline_ms = {serving.deadline_ms}: wanted more than {together}, its inner budgets "
            f"together ({told}): raise it (set {variable_of('serving.deadline_ms')} or the YAML key) or lower those"
        )


def _kind_of(place: Sequence[int | str]) -> Any:
    """The type of the setting or section there; of an entry of a list or mapping, that of the whole."""
    kind: Any = Settings
    for part in place:
        if not _is_section(kind) or part not in kind.model_fields:
            break
        kind = kind.model_fields[part].annotation
    return kind


def _holds_secret(kind: Any) -> bool:
    """Whether a value of that type must not be printed: a secret, a list of them, a section with one."""
    parts = [field.annotation for field in kind.model_fields.values()] if _is_section(kind) else get_args(kind)
    return kind is SecretStr or any(_holds_secret(part) for part in parts)


def _is_section(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseModel)


def without_passwords(address: str) -> str:
    """A connection string or URL without its password, for messages and logs.

    >>> without_passwords("valkey:6379,password=a"), without_passwords("postgresql://feast:a@h/feast")
    ('valkey:6379,password=***', 'postgresql://feast:***@h/feast')
    """
    told = re.sub(r"((?:^|,)\s*password=)[^,]*", r"\1***", address)
    told = re.sub(r"(://.*[?&]password=)[^&]*", r"\1***", told)
    # SQLAlchemy lets a password have a slash; digits alone before one are a port, and what follows a path.
    return re.sub(r"(://[^/@:]*:)(?:[^/]*@|(?!\d+/)[^@]*@)", r"\1***@", told)


def _check_text(variables: Mapping[str, str]) -> None:
    """Other bytes of a shell would end as a traceback where a setting is written, hashed or sent."""
    for name, value in variables.items():
        if name.upper().startswith(PREFIX):
            try:
                value.encode()
            except UnicodeEncodeError as error:
                raise ConfigError(
                    f"environment variable {name} holds bytes that are no UTF-8 text, from character {error.start} on: "
                    "set it to UTF-8"
                ) from None


def _check_file(path: Path) -> None:
    try:
        if not path.is_file():
            raise ConfigError(f"WATCHNEXT_CONFIG names {path}, which is no file")
        tree = yaml.safe_load(path.read_text())
    except OSError as error:
        raise ConfigError(f"WATCHNEXT_CONFIG names {path}, which cannot be read: {error.strerror}") from error
    except YAML_ERRORS as error:
        raise ConfigError(f"{path} cannot be read as YAML: {' '.join(str(error).split())}") from error
    if not isinstance(tree, dict | None):
        raise ConfigError(f"{path} holds a {type(tree).__name__}; wanted a mapping, such as `kafka: {{partitions: 8}}`")
    for key in tree or {}:
        if not isinstance(key, str):  # pydantic-settings asks every key for its lower case
            raise ConfigError(f"{path}: {key!r} came as a key; wanted a section or setting, such as kafka or profile")
        if "." in key:
            raise ConfigError(
                f"{path}: {key} came as one key; in YAML a setting stands in its section, such as "
                "`kafka: {partitions: 8}`"
            )
