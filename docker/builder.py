"""Carries out the steps of a stage in a folder, by chroot, as root."""

import hashlib
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Final

from recipe import ROOT, Copy, Mount, Run, Stage

from watchnext.errors import PrerequisiteError, WatchnextError
from watchnext.local.cache import kafka_jars, keep

CACHE: Final = kafka_jars().parent  # where `make setup` keeps what it downloads
PASSED: Final = (
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "PIP_INDEX_URL",
    "UV_INDEX_URL",
)  # as docker's build arguments
AUTHORITIES: Final = "/run/machine-authorities.crt"
GENERATED: Final = shutil.ignore_patterns("__pycache__", "*.pyc")  # as .dockerignore says


class FillError(WatchnextError):
    """A step failed."""


class Builder:
    """Fills folders with stages; keeps what downloads made."""

    def __init__(self, stages: dict[str, Stage], empty: frozenset[str]) -> None:
        """`empty`: stages that leave an empty folder where they would be copied from."""
        self._stages = stages
        self._empty = empty
        self._made: dict[str, Path] = {}

    def fill(self, target: str, folder: Path) -> None:
        """Makes `folder` the root of the image `target`; what is there is whole.

        Raises:
            PrerequisiteError: not root, or a program is missing.
            FillError: the folder holds something, or a step failed.
        """
        _require()
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise FillError(f"{folder} is not an empty folder: name a new one")
        folder.parent.mkdir(parents=True, exist_ok=True)
        (CACHE / "images").mkdir(parents=True, exist_ok=True)
        with (
            tempfile.TemporaryDirectory(dir=CACHE / "images", prefix="making-") as scratch,
            tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}-") as beside,
        ):
            root = Path(beside) / "root"
            self._build(self._stages[target], root, Path(scratch))
            root.rename(folder)

    def _build(self, stage: Stage, root: Path, scratch: Path) -> None:
        """Starts from the longest kept row of steps, then does the others."""
        names = [_kept(key) for key in self._keys(stage)]
        done = max((number for number, name in enumerate(names) if name.exists()), default=-1)
        if done < 0:
            _debootstrap(stage.system, names[0])
            done = 0
        _copy_tree(names[done], root)
        for number, step in enumerate(stage.steps, start=1):
            if number <= done:
                _tell(stage, step, "kept")
                continue
            started = time.monotonic()
            if isinstance(step, Copy):
                self._copy(step, root, scratch)
            else:
                sources = [(self._source(mount, scratch), mount.target) for mount in step.mounts]
                _run(step, root, sources)
            _tell(stage, step, f"{time.monotonic() - started:.0f} s")
            if isinstance(step, Run) and step.network:
                _copy_tree(root, scratch / "keep")
                keep(scratch / "keep", names[number])

    def _copy(self, step: Copy, root: Path, scratch: Path) -> None:
        target = root / step.target.relative_to("/")
        if step.stage in self._empty:
            target.mkdir(parents=True)
            return
        target.parent.mkdir(parents=True, exist_ok=True)
        if step.stage:
            _copy_tree(self._stage(step.stage, scratch) / step.source.lstrip("/"), target)
        elif (ROOT / step.source).is_dir():
            shutil.copytree(ROOT / step.source, target, ignore=GENERATED, dirs_exist_ok=True)
        else:
            shutil.copy(ROOT / step.source, target)

    def _source(self, mount: Mount, scratch: Path) -> Path:
        if mount.kind == "cache":
            place = CACHE.parent / mount.target.name
            place.mkdir(parents=True, exist_ok=True)
            return place
        return self._stage(mount.stage, scratch) / mount.source.lstrip("/") if mount.stage else ROOT / mount.source

    def _stage(self, name: str, scratch: Path) -> Path:
        """The root of a stage that another one takes from."""
        if name not in self._made:
            self._build(self._stages[name], scratch / name, scratch)
            self._made[name] = scratch / name
        return self._made[name]

    def _keys(self, stage: Stage) -> Iterator[str]:
        """For the system and after each step: a hash of all that went in so far."""
        digest = hashlib.sha256(stage.system.encode())
        yield digest.hexdigest()
        for step in stage.steps:
            digest.update(repr(step).encode())
            places = (
                [(step.source, step.stage)]
                if isinstance(step, Copy)
                else [(mount.source, mount.stage) for mount in step.mounts if mount.kind == "bind"]
            )
            for source, other in places:
                if other in self._empty:
                    digest.update(b"empty")
                elif other:
                    digest.update([*self._keys(self._stages[other])][-1].encode())
                else:
                    _digest_files(ROOT / source, digest)
            yield digest.hexdigest()


def _require() -> None:
    if os.geteuid() != 0:
        raise PrerequisiteError("docker/fill makes system folders by chroot: run it as root")
    for program in ("debootstrap", "chroot", "unshare", "apt-get"):
        if shutil.which(program) is None:
            raise PrerequisiteError(
                f"{program} is missing: docker/fill needs Debian or Ubuntu with `apt install debootstrap`"
            )


def _debootstrap(system: str, kept: Path) -> None:
    suite = re.fullmatch(r"debian:([a-z]+)-.*slim", system)
    if suite is None:
        raise FillError(f"FROM {system} is not known: docker/fill makes debian:SUITE-DATE-slim")
    started = time.monotonic()
    with tempfile.TemporaryDirectory(dir=kept.parent, prefix="making-") as scratch:
        root = Path(scratch) / "root"
        mirror = _mirrors(suite.group(1))[0].split()[1]
        _checked(["debootstrap", "--variant=minbase", suite.group(1), str(root), mirror])
        for left in ("etc/apt/sources.list", "etc/hostname", "etc/resolv.conf"):  # of this machine
            (root / left).unlink(missing_ok=True)
        for folder in ("dev", "proc", "sys", "run", "tmp", "var/cache/apt", "var/lib/apt/lists", "var/log"):
            shutil.rmtree(root / folder)
            (root / folder).mkdir()
        (root / "tmp").chmod(0o1777)
        keep(root, kept)
    print(f"{system}: debootstrap: {time.monotonic() - started:.0f} s", file=sys.stderr, flush=True)


def _mirrors(suite: str) -> list[str]:
    """`deb` lines of this machine for the suite and its updates."""
    wanted = ("$(REPO_URI) $(RELEASE) $(COMPONENT)", "Created-By: Packages")
    said = _checked(["apt-get", "indextargets", "--format", *wanted])
    suites = (suite, f"{suite}-updates", f"{suite}-security")
    lines = [f"deb {line}" for line in said.splitlines() if line.split()[1] in suites and line.endswith(" main")]
    if not any(line.split()[2] == suite for line in lines):
        raise PrerequisiteError(f"this machine's apt knows no mirror of Debian {suite}: add one to its sources")
    return sorted(set(lines), key=lambda line: suites.index(line.split()[2]))


def _run(step: Run, root: Path, sources: list[tuple[Path, PurePosixPath]]) -> None:
    """The command in `root`, in mount and process namespaces of its own: its mounts end with it."""
    with tempfile.TemporaryDirectory() as temporary:
        machine = dict[str, str]({name: os.environ[name] for name in PASSED if name in os.environ})
        binds = [(Path("/dev"), PurePosixPath("/dev")), *sources]
        if step.network:
            suite = next(line for line in (root / "etc/os-release").read_text().splitlines() if "CODENAME" in line)
            listed = Path(temporary) / "sources.list"
            listed.write_text("\n".join([*_mirrors(suite.partition("=")[2]), ""]))
            binds += [(listed, PurePosixPath("/etc/apt/sources.list"))]
            binds += [(Path("/etc/resolv.conf").resolve(), PurePosixPath("/etc/resolv.conf"))]
            if authorities := os.environ.get("SSL_CERT_FILE"):  # a machine with its own
                binds.append((Path(authorities).resolve(), PurePosixPath(AUTHORITIES)))
                machine |= dict.fromkeys(("SSL_CERT_FILE", "PIP_CERT"), AUTHORITIES)
        points = [_mount_point(root, target, source.is_dir()) for source, target in binds]
        lines = [
            f"mount --bind {shlex.quote(str(source))} {shlex.quote(f'{root}{target}')}" for source, target in binds
        ]
        environment = {
            "HOME": "/root",
            "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            **machine,
        }
        variables = " ".join(shlex.quote(f"{name}={value}") for name, value in environment.items())
        place = shlex.quote(str(root))
        lines += [f"mount -t proc proc {place}/proc", f"mount -t tmpfs tmpfs {place}/tmp"]
        lines += [f"exec env -i {variables} chroot {place} sh -c {shlex.quote(step.command)}"]
        apart = ["unshare", "--mount", "--propagation=private", "--pid", "--fork", "--kill-child"]
        try:
            _checked([*apart, *([] if step.network else ["--net"]), "sh", "-ec", "\n".join(lines)])
        finally:
            for point in points:
                _remove(point)


def _mount_point(root: Path, target: PurePosixPath, folder: bool) -> Path | None:
    """Makes the place for a mount; returns the outermost path that was not there before."""
    place, made = root, None
    for part in target.relative_to("/").parts:
        place = place / part
        made = made or (None if place.exists() else place)
    if made is not None:
        place.parent.mkdir(parents=True, exist_ok=True)
        if folder:
            place.mkdir()
        else:
            place.touch()
    return made


def _remove(path: Path | None) -> None:
    if path is not None and path.is_dir():
        shutil.rmtree(path)
    elif path is not None:
        path.unlink(missing_ok=True)


def _checked(command: list[str]) -> str:
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    if run.returncode:
        said = (run.stdout + run.stderr).strip()[-2000:]
        raise FillError(f"a step failed (exit {run.returncode}): {' '.join(command)}\n{said}")
    return run.stdout


def _copy_tree(source: Path, target: Path) -> None:
    _checked(["cp", "--archive", "--reflink=auto", str(source), str(target)])


def _digest_files(place: Path, digest: "hashlib._Hash") -> None:
    for file in [place] if place.is_file() else sorted(place.rglob("*")):
        if file.is_file() and file.suffix != ".pyc":
            digest.update(f"{file.relative_to(place)} {file.stat().st_mode}".encode() + file.read_bytes())


def _kept(key: str) -> Path:
    return CACHE / "images" / key[:16]


def _tell(stage: Stage, step: Run | Copy, outcome: str) -> None:
    what = step.command if isinstance(step, Run) else f"copy {step.source} to {step.target}"
    print(f"{stage.name}: {what}: {outcome}", file=sys.stderr, flush=True)
