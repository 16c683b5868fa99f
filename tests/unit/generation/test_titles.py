import subprocess
import sys
from pathlib import Path

import pytest

from tests.unit.generation.world import parts
from watchnext.errors import GenerationError
from watchnext.generation.build import build_generation
from watchnext.generation.manifest import Target
from watchnext.generation.store import GenerationStore
from watchnext.generation.titles import titles


def test_every_video_has_its_title(tmp_path: Path) -> None:
    store = GenerationStore(str(tmp_path))
    target = build_generation(store, parts()).target

    found = titles(store, target)

    assert found["v007"] == "Film 7 – größer"
    assert len(found) == 61  # 60 videos, and the unknown one


def test_a_generation_that_is_not_here_has_none(tmp_path: Path) -> None:
    with pytest.raises(GenerationError, match="there is no generation"):
        titles(GenerationStore(str(tmp_path)), Target("0123456789abcdef"))


def test_titles_wait_for_no_torch() -> None:
    code = "import sys, watchnext.generation.titles; print(sorted({'torch', 'pandas', 'feast'} & set(sys.modules)))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert run.stdout.strip() == "[]"
