"""InferenceGraphs in a file: whole objects, lists of them, rendered charts, or one bare `spec`; YAML or JSON.

Lenient: a value of a wrong type counts as left out here, `shape` reports it.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final, TypeVar

import yaml

from watchnext.errors import UsageError
from watchnext.yaml_errors import YAML_ERRORS

API_VERSION: Final = "serving.kserve.io/v1alpha1"
ROOT: Final = "root"
CONFIG_MAP: Final = "inferenceservice-config"  # where KServe's operator lists the headers to propagate
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a node; absent texts are empty."""

    at: str  # such as spec.nodes.root.steps[1]
    node: str
    index: int
    name: str
    node_name: str
    service_name: str
    service_url: str
    data: str
    condition: str
    dependency: str
    weight: int | None
    maps_predictions: bool
    given: frozenset[str]  # the fields that the document has

    @property
    def label(self) -> str:
        """What a person calls it: its name, else node[index]."""
        return self.name or f"{self.node}[{self.index}]"

    @property
    def hard(self) -> bool:
        """Does its failure end a Sequence or an Ensemble?"""
        return self.dependency == "Hard"


@dataclass(frozen=True, slots=True)
class Node:
    """One node: its type and its steps."""

    at: str
    name: str
    kind: str  # routerType
    steps: tuple[Step, ...]


@dataclass(frozen=True)
class Graph:
    """One InferenceGraph. `at` is the path of its spec, empty where the document is the bare spec."""

    document: Mapping[str, Any]
    at: str

    @property
    def whole(self) -> bool:
        """Is the document an object of Kubernetes, not a bare spec?"""
        return "kind" in self.document

    @property
    def name(self) -> str:
        """The object's name."""
        return str((_as(dict, self.document.get("metadata")) or {}).get("name", ""))

    @property
    def spec(self) -> Mapping[str, Any]:
        """What the router gets as --graph-json."""
        return _as(dict, self.document.get("spec")) or {} if self.whole else self.document

    @cached_property
    def nodes(self) -> dict[str, Node]:
        """The nodes by name."""
        nodes = _as(dict, self.spec.get("nodes")) or {}
        return {name: _node(name, raw, below(self.at, f"nodes.{name}")) for name, raw in nodes.items()}

    @property
    def steps(self) -> Iterator[Step]:
        """The steps of all nodes."""
        for node in self.nodes.values():
            yield from node.steps


@dataclass(frozen=True, slots=True)
class Manifests:
    """What a file holds for the linter."""

    graphs: tuple[Graph, ...]
    header_patterns: tuple[tuple[str, str], ...] = ()  # path and pattern


def read(file: Path) -> Manifests:
    """The graphs of a file, and the header patterns of KServe's ConfigMap where it is among the documents.

    Raises:
        UsageError: the file cannot be read, or holds no InferenceGraph.
    """
    try:
        documents = [one for document in _load(file.read_text()) for one in _items(_plain(document, {}))]
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{file} cannot be read: {error}") from error
    except YAML_ERRORS as error:
        raise UsageError(f"{file} is neither YAML nor JSON: {error}") from error
    found = [one for one in documents if _is_graph(one)]
    if not found:
        kinds = sorted({f"{one.get('apiVersion')} {one.get('kind')}" for one in documents}) or ["nothing"]
        raise UsageError(
            f"{file} holds {', '.join(kinds)}; wanted an InferenceGraph of {API_VERSION}, or its spec with nodes"
        )
    graphs = [Graph(one, _place(Graph(one, ""), alone=len(found) == 1)) for one in found]
    return Manifests(tuple(graphs), tuple(_propagated(documents)))


def _load(text: str) -> list[Any]:
    """The documents; JSON is read as JSON, whose tabs and pairs of surrogates PyYAML does not know."""
    try:
        return [json.loads(text)]
    except ValueError:
        return list(yaml.safe_load_all(text))


def below(at: str, key: str) -> str:
    """The path of `key` in what lies at `at`."""
    return f"{at}.{key}" if at and not at.endswith(":") else f"{at}{key}"


def _plain(value: Any, seen: dict[int, Any]) -> Any:
    """A value as JSON has it: keys are texts, so are YAML's dates and bytes, and nothing holds itself."""
    if not isinstance(value, dict | list):
        return value if isinstance(value, str | int | float | None) else str(value)
    if id(value) not in seen:
        seen[id(value)] = None
        if isinstance(value, dict):
            seen[id(value)] = {str(key): _plain(one, seen) for key, one in value.items()}
        else:
            seen[id(value)] = [_plain(one, seen) for one in value]
    if seen[id(value)] is None:
        raise ValueError("an alias holds itself")
    return seen[id(value)]


def _items(document: Any) -> list[Mapping[str, Any]]:
    if not isinstance(document, dict):
        return []
    if str(document.get("kind", "")).endswith("List"):
        return [one for one in _as(list, document.get("items")) or [] if isinstance(one, dict)]
    return [document]


def _is_graph(document: Mapping[str, Any]) -> bool:
    if "kind" in document:
        return document["kind"] == "InferenceGraph" and document.get("apiVersion") == API_VERSION
    return "nodes" in document


def _place(graph: Graph, *, alone: bool) -> str:
    prefix = "" if alone else f"{graph.name}:"
    return f"{prefix}spec" if graph.whole else prefix.removesuffix(":")


def _propagated(documents: list[Mapping[str, Any]]) -> Iterator[tuple[str, str]]:
    for one in documents:
        metadata, data = (_as(dict, one.get(field)) or {} for field in ("metadata", "data"))
        if one.get("kind") == "ConfigMap" and metadata.get("name") == CONFIG_MAP:
            try:
                patterns = json.loads(data.get("router", "{}")).get("headers", {}).get("propagate")
                if not isinstance(patterns, list | None):
                    raise ValueError(f"headers.propagate is {json.dumps(patterns)}; wanted a list of patterns")
            except (ValueError, AttributeError, TypeError) as error:
                raise UsageError(
                    f"data.router of ConfigMap {CONFIG_MAP} is no JSON object: {error}; KServe's controller ends on it"
                ) from error
            place = f"{CONFIG_MAP}: data.router.headers.propagate"
            if patterns == []:
                yield place, ""  # what the router makes of it
            for number, pattern in enumerate(patterns or ()):
                yield f"{place}[{number}]", str(pattern)


def _node(name: str, raw: Any, at: str) -> Node:
    fields = _as(dict, raw) or {}
    steps = _as(list, fields.get("steps")) or []
    return Node(
        at,
        name,
        _as(str, fields.get("routerType")) or "",
        tuple(_step(name, index, _as(dict, step) or {}, f"{at}.steps[{index}]") for index, step in enumerate(steps)),
    )


def _step(node: str, index: int, fields: Mapping[str, Any], at: str) -> Step:
    def text(field: str) -> str:
        return _as(str, fields.get(field)) or ""

    weight = fields.get("weight")
    return Step(
        at=at,
        node=node,
        index=index,
        name=text("name"),
        node_name=text("nodeName"),
        service_name=text("serviceName"),
        service_url=text("serviceUrl"),
        data=text("data"),
        condition=text("condition"),
        dependency=text("dependency"),
        weight=weight if isinstance(weight, int) and not isinstance(weight, bool) else None,
        maps_predictions=fields.get("mapPredictionsToInstances") is True,
        given=frozenset(field for field, value in fields.items() if value is not None),
    )


def _as(kind: type[T], value: Any) -> T | None:
    return value if isinstance(value, kind) else None
