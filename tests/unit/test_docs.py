"""What the documents name is there: links, paths, commands and their flags, `make` targets, settings."""

import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any, Final

import pytest
import typer
import yaml

from watchnext.cli.main import VERBS
from watchnext.errors import ConfigError
from watchnext.setting_keys import check_key
from watchnext.settings import Settings

REPO: Final = Path(__file__).parents[2]
DOCUMENTS: Final = [REPO / "README.md", *(REPO / "docs").rglob("*.md"), *(REPO / "k8s").glob("*.md")]
CALL: Final = re.compile(r"(?:^|\$ |-- |[A-Z_]+=\S+ )(?:\.venv/bin/)?watchnext ([a-z].*?)(?: {2}|#|\\$|\||$)")


def told(document: Path) -> Iterator[str]:
    """Lines of its blocks, and what stands in backticks."""
    text = document.read_text()
    for block in re.findall(r"```[a-z]*\n(.*?)```", text, re.DOTALL):
        yield from (line.strip() for line in block.splitlines())
    for span in re.findall(r"`([^`]+)`", re.sub(r"```.*?```", "", text, flags=re.DOTALL)):
        yield " ".join(span.split())


TOLD: Final = [(str(document.relative_to(REPO)), thing) for document in DOCUMENTS for thing in told(document)]


def anchors(text: str) -> set[str]:
    """As GitHub makes them of the headings."""
    return {
        re.sub(r"[^\w\- ]", "", one.strip().lower()).replace(" ", "-") for one in re.findall(r"(?m)^#+ (.+)$", text)
    }


@pytest.mark.parametrize(
    "document", [*DOCUMENTS, REPO / "CHANGELOG.md", REPO / "helm/watchnext/README.md"], ids=lambda path: path.name
)
def test_links_lead_somewhere(document: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", document.read_text()):
        if "://" in target:
            continue
        name, _, anchor = target.partition("#")
        file = document.parent / name if name else document
        assert file.exists(), target
        assert not anchor or anchor in anchors(file.read_text()), target


def test_paths_are_there() -> None:
    rooms = {path.name for folder in (REPO, REPO / "src/watchnext") for path in folder.iterdir() if path.is_dir()}
    named = [
        (document, thing)
        for document, thing in TOLD
        if re.fullmatch(r"[\w-]+/[\w./-]*", thing) and thing.split("/")[0] in rooms and not thing.endswith(".csv")
    ]

    assert len(named) > 50
    missing = [
        (document, thing)
        for document, thing in named
        if not ((REPO / thing).exists() or (REPO / "src/watchnext" / thing).exists())
    ]
    assert missing == []


def command_of(words: list[str]) -> tuple[Any, list[str]]:
    """The command that `words` begin with, and what is left of them.

    Raises:
        KeyError: no such verb or sub-command.
    """
    if words[0] not in VERBS:
        raise KeyError(words[0])
    command: Any = typer.main.get_command(import_module(f"watchnext.cli.{words[0]}").app)
    left = words[1:]
    while left and getattr(command, "commands", None) and re.fullmatch(r"[a-z][a-z_-]*", left[0]):
        command, left = command.commands[left[0]], left[1:]
    return command, left


def test_commands_and_their_flags_are_there() -> None:
    calls = [(document, found[1].split()) for document, thing in TOLD if (found := CALL.search(thing))]

    assert len(calls) > 60
    unknown = []
    for document, words in calls:
        try:
            command, left = command_of(words)
        except KeyError:
            unknown.append((document, " ".join(words)))
            continue
        flags = {flag for one in command.params for flag in one.opts}
        asked = {word.partition("=")[0].strip("[]") for word in left if word.strip("[]").startswith("--")}
        if not command.ignore_unknown_options and not asked <= flags:
            unknown.append((document, " ".join(words)))
    assert unknown == []


def test_make_has_the_targets() -> None:
    targets = set(re.findall(r"(?m)^([a-z-]+):", (REPO / "Makefile").read_text()))
    named = {(document, found[1]) for document, thing in TOLD if (found := re.match(r"(?:\$ )?make ([a-z-]+)", thing))}

    assert len(named) > 5
    assert [one for one in named if one[1] not in targets] == []


def test_settings_are_there() -> None:
    """A dotted name whose first word is a section is a setting, a value of the chart, or a module of ours."""
    values = yaml.safe_load((REPO / "helm/watchnext/values.yaml").read_text())
    named = {
        (document, thing)
        for document, thing in TOLD
        if re.fullmatch(r"[a-z_]+(\.[A-Za-z_]+)+", thing) and thing.split(".")[0] in Settings.model_fields
    }

    assert len(named) > 50
    assert [
        one for one in named if not is_setting(one[1]) and not is_value(one[1], values) and not is_ours(one[1])
    ] == []


def is_setting(name: str) -> bool:
    try:
        check_key(Settings, name, "a document")
    except ConfigError:
        return False
    return True


def is_value(name: str, values: Any) -> bool:
    for part in name.split("."):
        if not isinstance(values, dict) or part not in values:
            return False
        values = values[part]
    return True


def is_ours(name: str) -> bool:
    room, module, *_ = name.split(".")
    return any((folder / room / f"{module}.py").is_file() for folder in (REPO, REPO / "src/watchnext"))


def test_the_readme_is_short_and_its_table_of_the_paper_names_files() -> None:
    text = (REPO / "README.md").read_text()
    rows = re.findall(r"(?m)^\| [34][.\d]* \| [^|]+ \| ([^|]+) \| ([^|]+) \|$", text)

    assert len(text.splitlines()) < 200
    assert len(rows) == 9
    for modules, test in rows:
        for name in re.findall(r"`([^`]+)`", modules):
            assert (REPO / "src/watchnext" / name).exists(), name
        assert (REPO / test.strip("` ")).is_file(), test
