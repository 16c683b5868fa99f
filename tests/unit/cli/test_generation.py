"""`watchnext generation show`: which bundle it shows, in a store in memory."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tests.unit.generation.world import NOW_MS, VIDEOS, parts
from watchnext.cli.main import app
from watchnext.clock import FixedClock
from watchnext.errors import UsageError
from watchnext.generation.build import build_generation
from watchnext.generation.bundle import video_files
from watchnext.generation.manifest import Pointer
from watchnext.generation.store import GenerationStore


@pytest.fixture
def live(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A generation with overlays 1 and 2, the second one live."""
    url = f"memory://{tmp_path}"
    monkeypatch.setenv("WATCHNEXT_GENERATIONS__URL", url)
    store = GenerationStore(url, clock=FixedClock(NOW_MS))
    base = store.load(build_generation(store, parts()).generation)
    for number in (1, 2):
        store.write_overlay(base.manifest, number, video_files(base), videos=VIDEOS, counters_at=NOW_MS)
    store.write_pointer(Pointer(generation=base.id, overlay=2))
    return base.id


@pytest.mark.parametrize(
    ("words", "overlay"),
    [([], 2), (["--overlay", "1"], 1), (["--overlay", "0"], 0), (["ID"], 0), (["ID", "--overlay", "1"], 1)],
)
def test_show_shows_the_overlay_that_was_asked_for(live: str, words: list[str], overlay: int):
    """Without an ID, `--overlay` did nothing."""
    words = [live if word == "ID" else word for word in words]
    result = CliRunner().invoke(app, ["generation", "show", *words, "--json"], catch_exceptions=False)
    shown = json.loads(result.stdout)
    assert (shown["generation"], shown["overlay"]) == (live, overlay)


def test_json_before_a_sub_verb_is_refused(live: str):
    """It was dropped: a program read a table."""
    with pytest.raises(UsageError, match="wanted it behind: `watchnext generation list --json`"):
        CliRunner().invoke(app, ["generation", "--json", "list"], catch_exceptions=False)

    result = CliRunner().invoke(app, ["generation", "--json"], catch_exceptions=False)
    assert [row["generation"] for row in json.loads(result.stdout)] == [live]
