"""A writer that is killed at any moment leaves no generation that a reader could see, and does not hinder the next."""

import multiprocessing
import os
import signal
from pathlib import Path

import pytest
import torch

from tests.unit.generation.world import parts
from watchnext.generation.build import build_generation
from watchnext.generation.files import Files
from watchnext.generation.manifest import Pointer
from watchnext.generation.store import GenerationStore

FILES = 12  # of a generation, the manifest included
SPAWN = multiprocessing.get_context("spawn")


class DyingFiles(Files):
    """Dies on its `fatal`th write: with half of the temporary file on disk."""

    fatal = 0

    def write(self, path: str, data: bytes) -> None:
        self.fatal -= 1
        if self.fatal:
            super().write(path, data)
            return
        Path(f"{self.url}/{path}").parent.mkdir(parents=True, exist_ok=True)
        Path(f"{self.url}/{path}.0badcafe.tmp").write_bytes(data[: len(data) // 2])
        os.kill(os.getpid(), signal.SIGKILL)


def _build(url: str, fatal: int) -> None:
    torch.set_num_threads(1)
    store = GenerationStore(url)
    dying = DyingFiles(url)
    dying.fatal = fatal
    store.files = dying
    build_generation(store, parts(probes=2))


def _publish_and_die(url: str) -> None:
    store = GenerationStore(url)
    dying = DyingFiles(url)
    dying.fatal = 1
    store.files = dying
    store.write_pointer(Pointer(generation="new"))


@pytest.mark.parametrize("fatal", [1, FILES // 2, FILES])
def test_a_writer_killed_in_the_middle_leaves_no_generation(tmp_path: Path, fatal: int):
    url = str(tmp_path / "generations")
    writer = SPAWN.Process(target=_build, args=(url, fatal))
    writer.start()
    writer.join(120)
    assert writer.exitcode == -signal.SIGKILL
    store = GenerationStore(url)
    assert store.list() == []
    manifest = build_generation(store, parts(probes=2))
    assert [found.generation for found in store.list()] == [manifest.generation]
    assert len(manifest.files) + 1 == FILES


def test_a_publisher_killed_while_it_moves_the_pointer_leaves_the_old_one(tmp_path: Path):
    url = str(tmp_path / "generations")
    store = GenerationStore(url)
    store.write_pointer(Pointer(generation="old"))
    writer = SPAWN.Process(target=_publish_and_die, args=(url,))
    writer.start()
    writer.join(120)
    assert writer.exitcode == -signal.SIGKILL
    assert store.live().generation == "old"
