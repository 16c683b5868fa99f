"""Builds the stages of a Dockerfile as folders; keeps what steps that download have made, as an engine does."""

import fcntl
import hashlib
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from machine import FillError, checked, debootstrap, require_programs, run
from recipe import ROOT, Copy, Mount, Run, Stage

from watchnext.local.cache import kafka_jars, keep

CACHES: Final = kafka_jars().parents[1]  # a step's cache mount /root/.cache/NAME is the machine's own NAME here
KEPT: Final = kafka_jars().parent / "images"
KEPT_SECONDS: Final = 14 * 86_400  # unused for longer: removed
GENERATED: Final = shutil.ignore_patterns("__pycache__")  # as .dockerignore says


class Builder:
    """Fills folders with stages. One at a time on a machine: a second one waits for what the first one keeps."""

    def __init__(self, stages: dict[str, Stage], empty: frozenset[str]) -> None:
        """`empty`: stages that are not built; what is copied from them is an empty folder."""
        self._stages = stages
        self._empty = empty
        self._made: dict[str, Path] = {}

    def fill(self, target: str, folder: Path) -> None:
        """Makes `folder` the root of the image `target`; a folder that is there is whole.

        Raises:
            PrerequisiteError: this machine cannot.
            FillError: the folder holds something, or a step failed.
        """
        require_programs()
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise FillError(f"{folder} is not an empty folder: name a new one")
        folder.parent.mkdir(parents=True, exist_ok=True)
        with (
            _alone(),
            tempfile.TemporaryDirectory(dir=KEPT, prefix="making-") as scratch,
            tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}-") as beside,
        ):
            self._build(self._stages[target], Path(beside) / "root", Path(scratch))
            (Path(beside) / "root").rename(folder)

    def _build(self, stage: Stage, root: Path, scratch: Path) -> None:
        """Starts from the longest kept row of steps, then does the others."""
        kept = [KEPT / key for key in self._keys(stage)]
        if not kept[0].exists():
            started = time.monotonic()
            debootstrap(stage.system, scratch / "system")
            keep(scratch / "system", kept[0])
            _tell(stage, f"debootstrap {stage.system}", started)
        done = max(number for number, place in enumerate(kept) if place.exists())
        for step in stage.steps[:done]:
            _tell(stage, _what(step), None)
        kept[done].touch()
        _copy_tree(kept[done], root)
        for step, place in zip(stage.steps[done:], kept[done + 1 :], strict=True):
            started = time.monotonic()
            if isinstance(step, Copy):
                self._copy(step, root, scratch)
            else:
                run(step, root, [(self._source(mount, scratch), mount.target) for mount in step.mounts])
                if step.network:
                    _copy_tree(root, scratch / "whole")
                    keep(scratch / "whole", place)
            _tell(stage, _what(step), started)

    def _copy(self, step: Copy, root: Path, scratch: Path) -> None:
        target = root / step.target.relative_to("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        if step.stage in self._empty:
            target.mkdir()
        elif step.stage:
            _copy_tree(self._stage(step.stage, scratch) / step.source.lstrip("/"), target)
        elif (ROOT / step.source).is_dir():
            shutil.copytree(ROOT / step.source, target, ignore=GENERATED)
        else:
            shutil.copy(ROOT / step.source, target)

    def _source(self, mount: Mount, scratch: Path) -> Path:
        if mount.kind == "cache":
            place = CACHES / mount.target.name
            place.mkdir(parents=True, exist_ok=True)
            return place
        return self._stage(mount.stage, scratch) / mount.source.lstrip("/") if mount.stage else ROOT / mount.source

    def _stage(self, name: str, scratch: Path) -> Path:
        """The root of a stage that another one takes from, to be read only."""
        if name not in self._made:
            kept = KEPT / [*self._keys(self._stages[name])][-1]
            if kept.exists():
                kept.touch()
                self._made[name] = kept
            else:
                self._build(self._stages[name], scratch / name, scratch)
                self._made[name] = scratch / name
        return self._made[name]

    def _keys(self, stage: Stage) -> Iterator[str]:
        """For the system, and then for each step: a hash of all that has gone in so far."""
        digest = hashlib.sha256(stage.system.encode())
        yield digest.hexdigest()[:16]
        for step in stage.steps:
            digest.update(repr(step).encode())
            read = [step] if isinstance(step, Copy) else [mount for mount in step.mounts if mount.kind == "bind"]
            for part in read:
                if part.stage in self._empty:
                    digest.update(b"empty")
                elif part.stage:
                    digest.update([*self._keys(self._stages[part.stage])][-1].encode())
                else:
                    _digest_files(ROOT / part.source, digest)
            yield digest.hexdigest()[:16]


@contextmanager
def _alone() -> Iterator[None]:
    """Holds the folder of what is kept, without what nobody has used for long and what killed runs left."""
    KEPT.mkdir(parents=True, exist_ok=True)
    with KEPT.with_name("images.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for place in KEPT.iterdir():
            if place.name.startswith("making-") or place.stat().st_mtime < time.time() - KEPT_SECONDS:
                shutil.rmtree(place)
        yield


def _copy_tree(source: Path, target: Path) -> None:
    checked(["cp", "--archive", "--reflink=auto", str(source), str(target)])


def _digest_files(place: Path, digest: "hashlib._Hash") -> None:
    for file in [place] if place.is_file() else sorted(place.rglob("*")):
        if file.is_file() and file.parent.name != "__pycache__":
            digest.update(f"{file.relative_to(place)} {file.stat().st_mode}".encode() + file.read_bytes())


def _what(step: Run | Copy) -> str:
    return f"RUN {step.command}" if isinstance(step, Run) else f"COPY {step.source} {step.target}"


def _tell(stage: Stage, what: str, started: float | None) -> None:
    took = "kept" if started is None else f"{time.monotonic() - started:.0f} s"
    print(f"{stage.name}: {what}: {took}", file=sys.stderr, flush=True)
