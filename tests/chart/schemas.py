"""JSON Schemas for kubeconform: of Kubernetes' own kinds from its OpenAPI file, of the others from their definitions.

Each is closed, as the API server's strict field validation is: a key that the schema does not list is an error.
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from tests.chart import crds
from watchnext.local.cache import keep, place_of, scratch

Schema = dict[str, Any]
METADATA: Final = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"
QUANTITY: Final = "io.k8s.apimachinery.pkg.api.resource.Quantity"
LOCATION: Final = (
    "{{.ResourceKind}}{{.KindSuffix}}.json"  # kubeconform's template: kind, first word of the group, version
)


def folder() -> Path:
    """Where the schemas lie, written by now."""
    place = place_of("schemas", Path(__file__), Path(crds.__file__), crds.STRIMZI_POM)
    if not place.exists():
        with scratch() as work:
            made = work / "schemas"
            made.mkdir()
            for name, schema in _schemas():
                (made / f"{name}.json").write_text(json.dumps(schema))
            keep(made, place)
    return place


def _schemas() -> Iterator[tuple[str, Schema]]:
    swagger = json.loads(crds.module_files(crds.KUBERNETES)[0].read_text())
    kubernetes = {name: closed(schema) for name, schema in swagger["definitions"].items()}
    kubernetes[QUANTITY] = {"type": ["string", "number"]}
    for name, schema in swagger["definitions"].items():
        for kind in schema.get("x-kubernetes-group-version-kind", ()):
            yield (
                _name(kind["group"], kind["kind"], kind["version"]),
                _with_definitions({"$ref": _ref(name)}, kubernetes),
            )
    for group in crds.GROUPS:
        for definition in crds.definitions(group):
            spec = definition["spec"]
            for version in spec["versions"]:
                schema = closed(version["schema"]["openAPIV3Schema"])
                schema["properties"] |= {
                    "apiVersion": {"type": "string"},
                    "kind": {"type": "string"},
                    "metadata": {"$ref": _ref(METADATA)},
                }
                yield (
                    _name(spec["group"], spec["names"]["kind"], version["name"]),
                    _with_definitions(schema, kubernetes),
                )


def closed(schema: Mapping[str, Any]) -> Schema:
    """JSON Schema of an OpenAPI schema as Kubernetes writes them, without keys that are not listed.

    >>> closed({"properties": {"port": {"x-kubernetes-int-or-string": True}}})
    {'properties': {'port': {'type': ['integer', 'string']}}, 'additionalProperties': False}
    """
    if schema.get("x-kubernetes-int-or-string") or schema.get("format") == "int-or-string":
        return {"type": ["integer", "string"]}
    made = {key: value for key, value in schema.items() if key in _KEPT or key in _PARTS}
    if "properties" in schema:
        made["properties"] = {name: closed(one) for name, one in schema["properties"].items()}
        if "additionalProperties" not in schema and not schema.get("x-kubernetes-preserve-unknown-fields"):
            made["additionalProperties"] = False
    for key in ("items", "additionalProperties"):
        if isinstance(schema.get(key), Mapping):
            made[key] = closed(schema[key])
    if schema.get("nullable") and "type" in schema:
        made["type"] = [schema["type"], "null"]
    return made


# What narrows a value. `_PARTS` are not structural: they name some keys only, and stay open.
_KEPT: Final = {
    *("$ref", "type", "enum", "required", "pattern", "additionalProperties"),
    *("minimum", "maximum", "minLength", "maxLength", "minItems", "maxItems"),
}
_PARTS: Final = {"allOf", "anyOf", "oneOf", "not"}


def _with_definitions(schema: Schema, definitions: Mapping[str, Schema]) -> Schema:
    reached: Schema = {}
    waiting = [schema]
    while waiting:
        for name in _referred(waiting.pop()):
            if name not in reached:
                reached[name] = definitions[name]
                waiting.append(definitions[name])
    return schema | {"definitions": reached}


def _referred(node: object) -> Iterator[str]:
    if isinstance(node, dict):
        if isinstance(node.get("$ref"), str):
            yield node["$ref"].removeprefix(_ref(""))
        for child in node.values():
            yield from _referred(child)
    elif isinstance(node, list):
        for child in node:
            yield from _referred(child)


def _ref(name: str) -> str:
    return f"#/definitions/{name}"


def _name(group: str, kind: str, version: str) -> str:
    return "-".join(filter(None, [kind.lower(), group.split(".")[0], version]))
