"""The JSON Schema of the settings tree, for the chart's `config:`: every key may be left out, no key is unknown.

What Helm prints of a refused value is all that an operator reads, and of a schema that refuses everything that is
"false schema". So a setting that has its place elsewhere is refused by a constant that says where:
`at '/config/milvus/token': value must be 'left out: name its Secret in externalMilvus.existingSecret'`.

>>> settings_schema({"home": "the chart sets it"})["properties"]["profile"]
{'default': 'small', 'enum': ['tiny', 'small', 'full'], 'type': 'string'}
"""

from collections.abc import Mapping
from typing import Any, Final

from watchnext.setting_keys import check_key
from watchnext.settings import Settings

SECRET: Final = "a secret never stands in a settings file, give it as environment from a Secret"


def settings_schema(refused: Mapping[str, str]) -> dict[str, Any]:
    """The schema of a settings file: draft-07 and later read it, it has no references.

    Args:
        refused: settings or whole sections that must not stand in the file, each with the words that say where else
            the value goes. Secrets are refused whether they are named here or not.

    Raises:
        ConfigError: `refused` names a setting that is not there.
    """
    for key in refused:
        check_key(Settings, key, "refused")
    tree = Settings.model_json_schema()
    return _with_refusals(_inlined(tree, tree["$defs"]), refused, "")


def _inlined(node: Any, definitions: Mapping[str, Any]) -> Any:
    """`node` without references, titles (names again) and the defaults of sections (their leaves have them)."""
    if isinstance(node, list):
        return [_inlined(one, definitions) for one in node]
    if not isinstance(node, dict):
        return node
    if "$ref" in node:
        return _inlined(definitions[node["$ref"].rpartition("/")[2]], definitions)
    return {key: _inlined(value, definitions) for key, value in node.items() if key not in ("$defs", "title")}


def _with_refusals(schema: dict[str, Any], refused: Mapping[str, str], key: str) -> dict[str, Any]:
    if key in refused:
        return _refusal(refused[key])
    if schema.get("writeOnly") or schema.get("items", {}).get("writeOnly"):
        return _refusal(SECRET)
    if "properties" not in schema:
        return schema
    prefix = f"{key}." if key else ""
    properties = {name: _with_refusals(one, refused, prefix + name) for name, one in schema["properties"].items()}
    return {**schema, "properties": properties}


def _refusal(place: str) -> dict[str, Any]:
    words = f"left out: {place}"
    return {"const": words, "not": {"const": words}}
