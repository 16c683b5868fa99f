"""Reads `docker/Dockerfile`: its stages, and for each what the builder does and what the image says of itself.

Knows the instructions that the file uses; any other is an error, so that `docker/fill` never leaves one out in silence.
"""

import json
import re
import shlex
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import Any, Final

ROOT: Final = Path(__file__).resolve().parents[1]
DOCKERFILE: Final = ROOT / "docker" / "Dockerfile"
TARGETS: Final = ("serving", "stream", "pipelines", "torchserve", "kafka")


class RecipeError(ValueError):
    """The Dockerfile has a line that `docker/fill` cannot do."""


@dataclass(frozen=True, slots=True)
class Mount:
    """A file or folder that a step sees at `target`: of the repository (bind), of a stage, or a builder's cache."""

    kind: str
    target: PurePosixPath
    source: str = ""
    stage: str = ""


@dataclass(frozen=True, slots=True)
class Run:
    """A command in the image, with the mounts and variables that it sees; without `network` it is offline."""

    command: str
    mounts: tuple[Mount, ...] = ()
    network: bool = True
    environment: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Copy:
    """Files of the repository, or of another stage, to `target`."""

    source: str
    target: PurePosixPath
    stage: str = ""


@dataclass(frozen=True, slots=True)
class Stage:
    """All that makes an image, from the system that it starts from (`debian:TAG`) on."""

    name: str
    system: str
    steps: tuple[Run | Copy, ...] = ()
    config: dict[str, Any] = field(default_factory=dict)  # as in an image of the OCI


def read(text: str, arguments: dict[str, str]) -> dict[str, Stage]:
    """The stages of a Dockerfile by name, each with the steps of the stages that it builds on.

    Args:
        text: the file.
        arguments: values for its ARG lines, over their defaults.

    Raises:
        RecipeError: a line is not understood.
    """
    stages: dict[str, Stage] = {}
    declared = dict[str, str]()
    stage: Stage | None = None
    for line in _lines(text):
        word, rest = line.split(maxsplit=1)
        if word == "ARG":
            name, _, default = rest.partition("=")
            declared[name] = arguments.get(name, default)
        elif word == "FROM":
            base, _, name = rest.split()
            declared.clear()
            stage = replace(stages[base], name=name) if base in stages else Stage(name, system=base)
        elif stage is None:
            raise RecipeError(f"{line!r} comes before the first FROM")
        elif word == "RUN":
            variables = dict(pair.split("=", 1) for pair in stage.config.get("Env", [])) | declared
            stage = replace(stage, steps=(*stage.steps, _run(rest, tuple(variables.items()))))
        elif word == "COPY":
            stage = replace(stage, steps=(*stage.steps, _copy(rest)))
        else:
            value = re.sub(r"\$\{(\w+)\}", lambda found: declared[found.group(1)], rest)
            stage = replace(stage, config=_configured(stage.config, word, value))
        if stage is not None:
            stages[stage.name] = stage
    if unknown := arguments.keys() - {
        line.split()[1].partition("=")[0] for line in _lines(text) if line.startswith("ARG ")
    }:
        raise RecipeError(f"{', '.join(sorted(unknown))}: no ARG of the Dockerfile")
    return stages


def _lines(text: str) -> list[str]:
    whole = re.sub(r"^#.*\n", "", text, flags=re.MULTILINE).replace("\\\n", " ")
    return [line.strip() for line in whole.splitlines() if line.strip()]


def _run(text: str, environment: tuple[tuple[str, str], ...]) -> Run:
    mounts, network = list[Mount](), True
    while text.startswith("--"):
        flag, text = text.split(maxsplit=1)
        name, _, value = flag.removeprefix("--").partition("=")
        if flag == "--network=none":
            network = False
        elif name == "mount":
            mounts.append(_mount(dict(part.split("=", 1) for part in value.split(","))))
        else:
            raise RecipeError(f"RUN {flag} is not known: use --mount or --network=none")
    return Run(text, tuple(mounts), network, environment)


def _mount(parts: dict[str, str]) -> Mount:
    kind, target = parts.pop("type"), PurePosixPath(parts.pop("target"))
    mount = Mount(kind, target, parts.pop("source", ""), parts.pop("from", ""))
    if parts or kind not in ("bind", "cache"):
        raise RecipeError(
            f"a mount of type {kind} with {sorted(parts)} is not known: bind or cache, source, from, target"
        )
    return mount


def _copy(text: str) -> Copy:
    words = shlex.split(text)
    stage = words.pop(0).removeprefix("--from=") if words[0].startswith("--from=") else ""
    if len(words) != 2 or words[0].startswith("--"):
        raise RecipeError(f"COPY {text} is not known: COPY [--from=STAGE] SOURCE TARGET")
    return Copy(words[0], PurePosixPath(words[1]), stage)


def _configured(config: dict[str, Any], word: str, value: str) -> dict[str, Any]:
    match word:
        case "ENV":
            return config | {"Env": [*config.get("Env", []), *shlex.split(value)]}
        case "LABEL":
            pairs = dict(pair.split("=", 1) for pair in shlex.split(value))
            return config | {"Labels": config.get("Labels", {}) | pairs}
        case "CMD":
            return config | {"Cmd": json.loads(value)}
        case "USER":
            return config | {"User": value}
        case "WORKDIR":
            return config | {"WorkingDir": value}
    raise RecipeError(f"the instruction {word} is not known here: teach it to docker/recipe.py")
