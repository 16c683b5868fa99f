import json
from pathlib import Path

import pytest

from watchnext.errors import DataError
from watchnext.local.homes import Mark, aside, held, mark_of, note_user, place_of, take_home
from watchnext.settings import Settings, load_settings


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load_settings(home=tmp_path / "home")


def test_a_home_is_put_aside_and_comes_back_whole(settings: Settings) -> None:
    assert take_home(settings, "kuairand", Path("/data/kr")) == ""
    note_user(settings.home, "kuairand", "u7")
    (settings.home / "archive").mkdir()

    assert take_home(settings, "movielens") == "kuairand"
    assert mark_of(settings.home) == Mark("movielens")
    assert not (settings.home / "archive").exists()

    assert take_home(settings, "kuairand") == "movielens"
    assert mark_of(settings.home) == Mark("kuairand", "/data/kr", "u7")
    assert (settings.home / "archive").exists()


def test_a_demo_of_other_data_waits_for_the_one_at_work(settings: Settings) -> None:
    """It moved the home away under the other, whose events then went to its own servers."""
    take_home(settings, "movielens")

    with held(settings.home, "movielens"), held(settings.home, "movielens"):
        with pytest.raises(DataError, match=r"a demo of movielens is at work in .*home: wait for its end"):
            take_home(settings, "kuairand")
        assert take_home(settings, "movielens") == ""

    assert take_home(settings, "kuairand") == "movielens"
    with pytest.raises(DataError, match="a demo of other data puts"), held(settings.home, "movielens"):
        pass


def test_where_the_home_of_a_data_set_lies(settings: Settings) -> None:
    assert place_of(settings.home, "movielens") == settings.home

    take_home(settings, "kuairand")
    assert place_of(settings.home, "kuairand") == settings.home
    assert place_of(settings.home, "movielens") == aside(settings.home, "movielens")

    take_home(settings, "movielens")
    assert place_of(settings.home, "kuairand") == aside(settings.home, "kuairand")


def test_servers_started_before_a_put_aside_demo_are_no_traceback(settings: Settings) -> None:
    kept = aside(settings.home, "kuairand")
    kept.mkdir()
    (kept / "demo.json").write_text('{"data": "kuairand"}')
    (settings.home / "run").mkdir(parents=True)  # as `watchnext up` does

    with pytest.raises(DataError, match=r"home-kuairand cannot take the place of .*home \(Directory not empty\)"):
        take_home(settings, "kuairand")

    assert kept.exists()


def test_an_empty_home_gives_way(settings: Settings) -> None:
    kept = aside(settings.home, "kuairand")
    kept.mkdir()
    (kept / "demo.json").write_text('{"data": "kuairand"}')
    settings.home.mkdir()

    take_home(settings, "kuairand")

    assert mark_of(settings.home) == Mark("kuairand")


def test_events_that_no_demo_brought_are_left_alone(settings: Settings) -> None:
    (settings.home / "archive").mkdir(parents=True)

    with pytest.raises(DataError, match="did not bring"):
        take_home(settings, "movielens")


@pytest.mark.parametrize("text", ["{", "[]", '{"name": "movielens"}', "7"])
def test_a_mark_that_cannot_be_read_says_so(settings: Settings, text: str) -> None:
    settings.home.mkdir()
    (settings.home / "demo.json").write_text(text)

    with pytest.raises(DataError, match=r"demo\.json: cannot be read"):
        mark_of(settings.home)


def test_a_mark_says_what_was_named(settings: Settings) -> None:
    take_home(settings, "kuairand", Path("/data/kr"))

    assert json.loads((settings.home / "demo.json").read_text()) == {"data": "kuairand", "path": "/data/kr", "user": ""}


@pytest.mark.parametrize("home", [".", ".."])
def test_the_current_folder_is_no_home_of_a_demo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, home: str) -> None:
    here = tmp_path / "checkout" / "src"
    here.mkdir(parents=True)
    monkeypatch.chdir(here)

    with pytest.raises(DataError, match="is the current folder, or holds it: set WATCHNEXT_HOME"):
        take_home(load_settings(home=Path(home)), "movielens")

    assert list(tmp_path.rglob("*")) == [here.parent, here]
