"""Stage 1: freeze what training reads.

The parts of the event archive and of the offline feature log never change, but new ones go on arriving, with late
events in them. A snapshot therefore holds the parts themselves (hard links where the file system allows, else copies),
the time up to which they are read, and a content id over names and bytes. Later stages read nothing else.

    <folder>/archive/<topic>/*.parquet     as in the event archive
    <folder>/offline/<view>/*.parquet      as in the offline log
    <folder>/snapshot.json
"""

import hashlib
import json
import os
import shutil
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow.dataset as ds
import pyarrow.parquet as pq

from watchnext.contracts.names import Topic
from watchnext.errors import ConfigError, DataError
from watchnext.parts import Part, parts_of, reading, while_parts_stay
from watchnext.settings import Settings, load_settings
from watchnext.stream.archive import LOG_AT_MS, LOG_PARTITION

_FILE = "snapshot.json"


@dataclass(frozen=True)
class Snapshot:
    """What one run of the pipeline knows of the world."""

    id: str  # content hash of the parts and of `end_ms`
    end_ms: int  # epoch ms: nothing that became available later is read
    watermark_ms: int  # epoch ms: every partition with a watch has brought one of this time or later
    parts: dict[str, int]  # path in the snapshot to rows
    folder: Path

    @classmethod
    def load(cls, folder: Path, *, expected_id: str = "") -> "Snapshot":
        """The snapshot in `folder`.

        Raises:
            DataError: there is none, or it has another id than `expected_id`.
        """
        path = folder / _FILE
        if not path.is_file():
            raise DataError(f"{folder} holds no snapshot; run the snapshot stage first")
        found = cls(**json.loads(path.read_text()), folder=folder)
        if expected_id and found.id != expected_id:
            raise DataError(f"{folder} holds snapshot {found.id}; wanted {expected_id}")
        return found

    def settings(self, settings: Settings) -> Settings:
        """`settings` with archive and offline log inside the snapshot."""
        features = settings.features.model_copy(
            update={
                "archive": str(self.folder / "archive"),
                "offline": str(self.folder / "offline"),
                "registry": str(self.folder / "feast" / "registry.db"),
            }
        )
        return settings.model_copy(update={"features": features, "home": self.folder})

    def summary(self) -> dict[str, Any]:
        """Figures for artifact metadata and the manifest."""
        rows: dict[str, int] = {}
        for name, count in self.parts.items():
            kind = "/".join(name.split("/")[:2])
            rows[kind] = rows.get(kind, 0) + count
        return {"id": self.id, "end_ms": self.end_ms, "rows": rows}


def freeze(settings: Settings, folder: Path) -> Snapshot:
    """Freeze archive and offline log into `folder`; parts that an earlier freezing left there and are gone leave it.

    Raises:
        DataError: the archive has no watch, a folder is remote and must be mounted first, or `folder` is its parent.
        StoreError: a part is damaged.
    """
    parts: dict[str, int] = {}
    digest = hashlib.sha256()
    for kind, root in (("archive", settings.archive_path), ("offline", settings.offline_path)):
        if "://" in root:
            raise DataError(f"{kind} is {root}; training reads a folder: mount it and set features.{kind}")
        if (folder / kind).resolve() == Path(root).resolve():
            raise DataError(f"{folder} holds the {kind} itself; wanted a folder of its own for the snapshot")
        while_parts_stay(partial(_link_parts, Path(root), folder / kind, set()))
        for path in sorted((folder / kind).glob("*/*.parquet")):
            name = f"{kind}/{path.parent.name}/{path.name}"
            with reading(Path(root, path.parent.name, path.name)):
                parts[name] = pq.read_metadata(path).num_rows
            digest.update(name.encode() + b"\0" + _digest(path))
    if not any(count for name, count in parts.items() if name.startswith(f"archive/{Topic.WATCH.value}/")):
        raise DataError(f"the archive {settings.archive_path} has no watch events; run `watchnext replay` first")
    watches = ds.dataset(str(folder / "archive" / Topic.WATCH.value), format="parquet")
    newest = (
        watches.to_table(columns=[LOG_PARTITION, LOG_AT_MS]).group_by(LOG_PARTITION).aggregate([(LOG_AT_MS, "max")])
    )
    times = newest[f"{LOG_AT_MS}_max"].to_pylist()
    digest.update(str(max(times)).encode())
    snapshot = Snapshot(
        id=digest.hexdigest()[:16], end_ms=max(times), watermark_ms=min(times), parts=parts, folder=folder
    )
    written = {key: value for key, value in asdict(snapshot).items() if key != "folder"}
    (folder / _FILE).write_text(json.dumps(written, indent=1))
    return snapshot


def settings_with(profile: str, training: str) -> Settings:
    """The settings of this environment with a run's parameters on top: `training` is JSON; an empty one changes none.

    Raises:
        ConfigError: a parameter is none.
    """
    flags = {"profile": profile} if profile else {}
    try:
        return load_settings(**flags, training=json.loads(training or "{}"))
    except json.JSONDecodeError as error:
        raise ConfigError(
            f"the run's parameter training is {training!r}; wanted a JSON object of settings, such as "
            f'{{"epochs": 5}}: {error}'
        ) from error


def settings_of_run(settings: Settings) -> str:
    """The settings that later stages heed, as one text for `load_settings(**json.loads(text))`; equal ones, equal text.

    They travel with the snapshot's id, so that a run keeps them to its end and a change of any computes anew.
    """
    heeded = settings.model_dump(
        mode="json",
        include={"profile": True, "training": True, "generations": {"refresh_minutes"}, "serving": {"candidates"}},
    )
    return json.dumps(heeded, sort_keys=True)


def _link_parts(root: Path, target: Path, made: set[Path]) -> None:
    """Make `target` hold the parts in the folders of `root`, and nothing else: later stages read the folders.

    Copies take minutes, and workers go on merging: what is `made` already is not made again.

    Raises:
        FileNotFoundError: a part was merged meanwhile; the others are made.
    """
    wanted, gone = set(), None
    for folder in root.iterdir() if root.exists() else ():
        others = [path for path in folder.glob("*.parquet") if Part.of(path) is None]
        for source in (*others, *(part.path for part in parts_of(folder))):
            linked = target / folder.name / source.name
            wanted.add(linked)
            try:
                if linked not in made:
                    _link(source, linked)
                made.add(linked)
            except FileNotFoundError as error:
                gone = error
    if gone is not None:
        raise gone
    for left in set(target.glob("*/*.parquet")) - wanted:
        left.unlink()


def _link(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.exists():
        if target.samefile(source):
            return
        target.unlink()  # never written over: it may be a link to another archive's part
    try:
        os.link(source, target)
    except OSError:  # another file system, or one without links
        shutil.copyfile(source, target)


def _digest(path: Path) -> bytes:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").digest()
