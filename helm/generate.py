"""Writes what is generated of the chart: `python helm/generate.py` (a test holds it fresh).

| file | from |
|---|---|
| watchnext/values.schema.json | values.schema.yaml, the settings tree under `config`, the comments of values.yaml |
| the tables of watchnext/README.md | the `# --` comments of values.yaml; the settings tree |
| k8s/rendered/NAME/KIND-OBJECT.yaml | `helm template` of each values file, in a cluster that has every operator |
"""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from watchnext.errors import ConfigError, PrerequisiteError, WatchnextError
from watchnext.local.cache import go_program
from watchnext.settings_schema import settings_schema

REPO: Final = Path(__file__).resolve().parents[1]
CHART: Final = REPO / "helm" / "watchnext"
README: Final = CHART / "README.md"
SCHEMA: Final = CHART / "values.schema.json"
RENDERED: Final = REPO / "k8s" / "rendered"

RELEASE: Final = "watchnext"
KUBERNETES: Final = "1.34.4"
OPERATORS: Final = ("keda.sh/v1alpha1", "monitoring.coreos.com/v1")

_MARK: Final = "# --"


@dataclass(frozen=True)
class Value:
    """A documented key of values.yaml: a leaf, or a mapping that is taken whole."""

    key: str
    default: Any
    comment: str  # empty where there is none


def documented(text: str) -> list[Value]:
    r"""The leaves of a values file; a mapping is one where no key in it has a `# --` comment, such as `resources`.

    Raises:
        ConfigError: the file holds no mapping.

    >>> documented("image:\n  # -- Tag; empty:\n  # the newest.\n  tag: v1\n")
    [Value(key='image.tag', default='v1', comment='Tag; empty: the newest.')]
    """
    node = yaml.compose(text)
    if not isinstance(node, yaml.MappingNode):
        raise ConfigError("a values file holds a mapping, such as `image: {tag: v1}`")
    return list(_documented(node, yaml.safe_load(text), text.splitlines(), ""))


def _documented(node: yaml.MappingNode, tree: Mapping[str, Any], lines: list[str], prefix: str) -> Iterator[Value]:
    for name, child in node.value:
        value = tree[name.value]
        key = prefix + name.value
        block = isinstance(child, yaml.MappingNode) and not child.flow_style
        inner = list(_documented(child, value, lines, f"{key}.")) if block else []
        if any(one.comment for one in inner):
            yield from inner
        else:
            yield Value(key, value, _comment(lines[: name.start_mark.line]))


def _comment(lines: list[str]) -> str:
    """The `# --` comment that ends at the last of `lines`."""
    words: list[str] = []
    for line in reversed([line.strip() for line in lines]):
        if line.startswith(_MARK):
            return " ".join([line.removeprefix(_MARK).strip(), *words])
        if not line.startswith("#"):
            break
        words.insert(0, line.removeprefix("#").strip())
    return ""


def values_schema() -> dict[str, Any]:
    """The JSON Schema by which Helm checks values."""
    written = yaml.safe_load((CHART / "values.schema.yaml").read_text())
    written.pop("shapes")
    properties = written["properties"]
    properties["config"] = settings_schema(properties["config"]["refused"])
    comments = {value.key: value.comment for value in documented((CHART / "values.yaml").read_text())}
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "$comment": "written by `python helm/generate.py`",
        **_finished(written, comments, ""),
    }


def schema_text() -> str:
    """The file that Helm reads."""
    return json.dumps(values_schema(), indent=2, ensure_ascii=False) + "\n"


def _finished(schema: Mapping[str, Any], comments: Mapping[str, str], key: str) -> dict[str, Any]:
    """`schema` with the comments of values.yaml as descriptions, closed where it lists its keys.

    A section of values.yaml must be there: Helm drops one that is null, and templates read its keys.
    """
    finished = {"description": comments[key], **schema} if key in comments else dict(schema)
    if "properties" in schema:
        prefix = f"{key}." if key else ""
        children = {name: _finished(one, comments, prefix + name) for name, one in schema["properties"].items()}
        finished |= {"additionalProperties": False, "properties": children}
        sections = [name for name in children if any(one.startswith(f"{prefix}{name}.") for one in comments)]
        if sections:
            finished["required"] = [*schema.get("required", ()), *sections]
    return finished


def leaves(schema: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Each setting of a settings schema that may stand in the file, with its own schema."""
    for name, child in schema["properties"].items():
        if "properties" in child:
            yield from leaves(child, f"{prefix}{name}.")
        elif "not" not in child:
            yield prefix + name, child


def readme() -> str:
    """The chart's README with today's tables."""
    values = documented((CHART / "values.yaml").read_text())
    settings = leaves(values_schema()["properties"]["config"])
    text = _between(README.read_text(), "values", _table((one.key, one.default, one.comment) for one in values))
    return _between(text, "settings", _table((key, one["default"], _meaning(one)) for key, one in settings))


def _meaning(schema: Mapping[str, Any]) -> str:
    choices = ", ".join(f"`{value}`" for value in schema.get("enum", ()))
    return "; ".join(part for part in (schema.get("description", ""), choices) if part)


def _table(rows: Iterable[tuple[str, Any, str]]) -> str:
    lines = ["| Key | Default | Meaning |", "|---|---|---|"]
    for key, default, words in rows:
        escaped = words.replace("|", "\\|").replace("<", "\\<")
        lines.append(f"| `{key}` | `{json.dumps(default, ensure_ascii=False)}` | {escaped} |")
    return "\n".join(lines) + "\n"


def _between(text: str, name: str, table: str) -> str:
    start, end = f"<!-- {name} -->\n", f"<!-- end of {name} -->\n"
    if text.count(start) != 1 or text.count(end) != 1:
        raise ConfigError(f"{README} has no place for the table of {name}; wanted: {start}{end}")
    return text[: text.index(start) + len(start)] + table + text[text.index(end) :]


def find_helm() -> Path:
    """Helm of this machine.

    Raises:
        PrerequisiteError: there is none.
    """
    kit = Path(os.environ.get("CLUSTER_HOME") or Path.home() / ".cache" / "cluster-kit")
    built = go_program("helm", REPO / "tests" / "chart" / "tools" / "helm")  # by the tests of the chart
    for place in (shutil.which("helm"), kit / "bin" / "helm", built):
        if place and os.access(place, os.X_OK):
            return Path(place)
    raise PrerequisiteError(f"helm is neither on the PATH nor in {kit / 'bin'}: install Helm 3.18 or later")


def values_files() -> dict[str, Path]:
    """Each values file of the chart by its name."""
    files = [*CHART.glob("values*.yaml"), *(CHART / "ci").glob("*.yaml")]
    return {file.stem: file for file in sorted(files) if file.name != "values.schema.yaml"}


def rendered(helm: Path, values: Path) -> dict[str, str]:
    """The objects that Helm makes of a values file, each by its file name.

    Raises:
        ConfigError: the chart does not render, or two objects have one name.
    """
    command = [str(helm), "template", RELEASE, str(CHART), "--namespace", RELEASE, "--values", str(values)]
    command += ["--kube-version", KUBERNETES, *(f"--api-versions={api}" for api in OPERATORS)]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    if run.returncode:
        raise ConfigError(f"{values.relative_to(REPO)} does not render: {run.stderr.strip()}")
    objects: dict[str, str] = {}
    for document in re.split(r"^---\n", run.stdout, flags=re.MULTILINE):
        tree = yaml.safe_load(document)
        if tree is None:
            continue
        name = f"{tree['kind'].lower()}-{tree['metadata']['name']}.yaml"
        if name in objects:
            raise ConfigError(f"{values.relative_to(REPO)} renders two objects for {name}: name one otherwise")
        objects[name] = document.rstrip() + "\n"
    return objects


def main() -> None:
    """Writes all, the schema first: Helm reads it when it renders."""
    SCHEMA.write_text(schema_text())
    README.write_text(readme())
    helm = find_helm()
    goldens = {name: rendered(helm, file) for name, file in values_files().items()}
    shutil.rmtree(RENDERED, ignore_errors=True)
    for name, objects in goldens.items():
        folder = RENDERED / name
        folder.mkdir(parents=True)
        for file, text in objects.items():
            (folder / file).write_text(text)
        print(f"{folder.relative_to(REPO)}: {len(objects)} objects")


if __name__ == "__main__":
    try:
        main()
    except WatchnextError as error:
        sys.exit(f"error: {error}")
