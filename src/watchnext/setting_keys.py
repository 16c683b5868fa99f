"""The keys of the settings tree, and what is said of one that it does not have: the nearest that it has.

>>> from watchnext.settings import Settings
>>> check_key(Settings, "kafka.partitions", "--set")
>>> unread_variables(Settings, ["WATCHNEXT_PROFLE", "WATCHNEXT_CONFIG", "WATCHNEXT_KAFKA__GROUP"])
{'WATCHNEXT_PROFLE': 'WATCHNEXT_PROFILE'}
"""

import difflib
import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, get_origin

from pydantic import BaseModel

from watchnext.errors import ConfigError

PREFIX: Final = "WATCHNEXT_"
_NEST: Final = "__"
_NO_SETTINGS: Final = ("WATCHNEXT_CONFIG", "WATCHNEXT_SERVER", "WATCHNEXT_STARTER")
_NO_SETTINGS_FROM: Final = "WATCHNEXT_CLUSTER"  # how tests reach a cluster


def variable_of(key: str) -> str:
    """The environment variable of a setting.

    >>> variable_of("kafka.partitions")
    'WATCHNEXT_KAFKA__PARTITIONS'
    """
    return PREFIX + key.upper().replace(".", _NEST)


def key_of(variable: str) -> str:
    """The setting of an environment variable.

    >>> key_of("WATCHNEXT_KAFKA__PARTITIONS")
    'kafka.partitions'
    """
    return variable[len(PREFIX) :].lower().replace(_NEST, ".")


def leaves(tree: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Key and value of each setting in a nested mapping, of an empty mapping its own.

    >>> list(leaves({"kafka": {"group": "a"}, "gateway": {"arms": {}}}))
    [('kafka.group', 'a'), ('gateway.arms', {})]
    """
    for name, value in tree.items():
        if isinstance(value, Mapping) and value:
            yield from leaves(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def keys_of_flag(flag: str) -> list[str]:
    """The settings that `KEY=VALUE` sets: several where the value is a JSON object.

    >>> keys_of_flag("Kafka.Group=a"), keys_of_flag('kafka={"group": "a", "partitions": 8}')
    (['kafka.group'], ['kafka.group', 'kafka.partitions'])
    """
    key, _, text = flag.partition("=")
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        value = text
    return [name for name, _ in leaves({key.lower(): value})]


def check_key(tree: type[BaseModel], key: str, origin: str) -> None:
    """Return if `tree` has `key`: a setting, a whole section, or an entry of a setting that is a mapping.

    Raises:
        ConfigError: it has not; the message begins with `origin` and names the nearest key.
    """
    if not _has(tree, key):
        raise no_such_key(tree, key, origin)


def no_such_key(tree: type[BaseModel], key: str, origin: str) -> ConfigError:
    """What is said of a key that `tree` has not."""
    nearest = _nearest(key, _keys(tree))
    mend = f"did you mean {nearest}?" if nearest else "`watchnext config show` lists all"
    return ConfigError(f"{origin}: there is no setting {key}; {mend}")


def check_variables(tree: type[BaseModel], names: Iterable[str]) -> None:
    """Return if each nested variable, such as WATCHNEXT_KAFKA__PARTITIONS, is a setting.

    Flat ones are let through: Kubernetes gives pods variables of a service's name, such as WATCHNEXT_GATEWAY_PORT.

    Raises:
        ConfigError: one is not.
    """
    for name in names:
        if name.upper().startswith(PREFIX) and _NEST in name:
            check_key(tree, key_of(name), f"environment variable {name}")


def unread_variables(tree: type[BaseModel], names: Iterable[str]) -> dict[str, str]:
    """Variables that look like ours and that nothing reads, each with the nearest that is read (or empty)."""
    unread = [name for name in names if name.upper().startswith(PREFIX) and not _is_read(tree, name)]
    nearest = {name: _nearest(key_of(name), _keys(tree)) for name in unread}
    return {name: variable_of(key) if key else "" for name, key in nearest.items()}


def _is_read(tree: type[BaseModel], name: str) -> bool:
    return name in _NO_SETTINGS or name.startswith(_NO_SETTINGS_FROM) or _has(tree, key_of(name))


def _has(tree: type[BaseModel], key: str) -> bool:
    return any(key == known or (mapping and key.startswith(f"{known}.")) for known, mapping in _walk(tree))


def _keys(tree: type[BaseModel]) -> list[str]:
    return [key for key, _ in _walk(tree)]


def _nearest(key: str, known: Iterable[str]) -> str:
    return next(iter(difflib.get_close_matches(key, list(known), n=1)), "")


def _walk(tree: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, bool]]:
    """Each key, sections among them, and whether its value is a mapping with keys of the operator's own."""
    for name, field in tree.model_fields.items():
        kind = field.annotation
        yield f"{prefix}{name}", get_origin(kind) is dict
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            yield from _walk(kind, f"{prefix}{name}.")
