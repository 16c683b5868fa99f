"""Every verb and sub-verb speaks JSON and refuses what it does not know."""

from importlib import import_module

import pytest
import typer
from typer.core import TyperGroup
from typer.testing import CliRunner, Result

from watchnext.cli.main import VERBS


def commands() -> list[list[str]]:
    """The words of each command, such as `generation list`."""
    verbs = {verb: typer.main.get_command(import_module(f"watchnext.cli.{verb}").app) for verb in VERBS}
    return [
        [verb, *sub]
        for verb, command in verbs.items()
        for sub in ([[name] for name in command.commands] if isinstance(command, TyperGroup) else [[]])
    ]


def invoke(words: list[str], *more: str) -> Result:
    return CliRunner().invoke(import_module(f"watchnext.cli.{words[0]}").app, [*words[1:], *more])


def test_there_are_sub_verbs_too() -> None:
    found = list(commands())

    assert ["status"] in found
    assert ["generation", "rollback"] in found
    assert ["pipeline", "compile"] in found


@pytest.mark.parametrize("words", commands(), ids=" ".join)
def test_a_verb_offers_json(words: list[str]) -> None:
    run = invoke(words, "--help")

    assert run.exit_code == 0
    assert "--json" in run.output


@pytest.mark.parametrize("words", commands(), ids=" ".join)
def test_a_verb_exits_2_on_nonsense(words: list[str]) -> None:
    run = invoke(words, "--nonsense")

    assert run.exit_code == 2
    assert "No such option: --nonsense" in run.output


@pytest.mark.parametrize("words", [["data", "show", "simulator"], ["replay", "simulator"], ["pipeline", "first"]])
def test_more_users_than_a_world_can_hold_are_misuse(words: list[str]) -> None:
    run = invoke(words, "--users", "99999999999999999999")

    assert run.exit_code == 2
    assert "--users" in run.output
