"""The generation store: immutable bundles, one pointer, and what the replicas say, under one fsspec URL.

    live.json                                 the pointer, replaced atomically
    publish.lock                              held while a publisher stages and moves
    replicas/<name>.json                      heartbeat, acknowledgements, refusals of a serving process
    <generation>/manifest.json + files        written once; the manifest last, so a killed writer leaves nothing visible
    <generation>/overlays/<r>/…               the same for overlay r

>>> store = GenerationStore("memory://doc-store")
>>> store.pointer().live is None, store.list()
(True, [])
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

import msgspec
import structlog

from watchnext.clock import Clock, SystemClock
from watchnext.contracts.names import collection_name
from watchnext.errors import GenerationError, GenerationStoreError, NoGenerationError
from watchnext.features.spec import spec_hash
from watchnext.generation.files import Files
from watchnext.generation.manifest import POINTER, FileEntry, Manifest, Pointer, Target, decode, encode
from watchnext.generation.replicas import Replicas
from watchnext.settings import Settings

if TYPE_CHECKING:
    from watchnext.generation.bundle import Bundle

MANIFEST: Final = "manifest.json"
_CLOCK: Final = SystemClock()

log = structlog.get_logger()


class GenerationStore:
    """Bundles, pointer and replicas under `url`."""

    def __init__(self, url: str, *, endpoint: str = "", region: str = "", clock: Clock = _CLOCK):
        """A store; `endpoint` and `region` are of a bucket (settings `generations.endpoint`, `generations.region`)."""
        self.files = Files(url, endpoint=endpoint, region=region)
        self.clock = clock
        self.replicas = Replicas(self.files, clock)

    @classmethod
    def open(cls, settings: Settings) -> "GenerationStore":
        """The store that the settings name."""
        of = settings.generations
        return cls(settings.generations_url, endpoint=of.endpoint, region=of.region)

    def write(
        self,
        contents: Mapping[str, bytes],
        *,
        snapshot: str,
        videos: int,
        dim: int,
        counters_at: int,
        configs: Mapping[str, Any],
        metrics: Mapping[str, float],
    ) -> Manifest:
        """Write a generation; one of the same content that is there already and whole is left as it is.

        Args:
            contents: file name to bytes.
            snapshot: id of the training data.
            videos: how many, without the unknown one.
            dim: width of the video vectors.
            counters_at: epoch ms at which the video counters stand.
            configs: of the models, JSON values.
            metrics: of the evaluation; figures that differ from run to run (seconds) would make another id.
        """
        draft = Manifest(
            generation="",
            hash="",
            collection="",
            files={name: FileEntry.of(data) for name, data in sorted(contents.items())},
            spec_hash=spec_hash(),
            snapshot=snapshot,
            videos=videos,
            dim=dim,
            counters_at=counters_at,
            configs=dict(configs),
            metrics=dict(metrics),
            created_at=self.clock.now_ms(),
        )
        generation = draft.content_hash()
        manifest = msgspec.structs.replace(
            draft, generation=generation, hash=generation, collection=collection_name(generation, 0)
        )
        if not self._is_whole(manifest.target):
            self._put(manifest, contents)
        return manifest

    def write_overlay(
        self, base: Manifest, overlay: int, contents: Mapping[str, bytes], *, videos: int, counters_at: int
    ) -> Manifest:
        """Write overlay `overlay` of the generation of `base`.

        Raises:
            GenerationError: there is such an overlay already.
        """
        draft = msgspec.structs.replace(
            base,
            overlay=overlay,
            hash="",
            collection=collection_name(base.generation, overlay),
            files={name: FileEntry.of(data) for name, data in sorted(contents.items())},
            videos=videos,
            counters_at=counters_at,
            created_at=self.clock.now_ms(),
        )
        manifest = msgspec.structs.replace(draft, hash=draft.content_hash())
        if self.files.exists(f"{_folder(manifest.target)}/{MANIFEST}"):
            raise GenerationError(f"{manifest.target} is there already; an overlay is written once: refresh again")
        self._put(manifest, contents)
        return manifest

    def load(self, generation: str, overlay: int = 0) -> "Bundle":
        """The bundle, after every file's hash, the content id and the feature spec were found right.

        Raises:
            GenerationError: there is no such bundle, it is damaged, or it was made by other feature code.
        """
        from watchnext.generation.bundle import bundle_of  # torch takes seconds: `generation list` does without

        base = self.manifest(generation)
        contents = self._contents(base)
        if overlay == 0:
            return bundle_of(base, contents)
        top = self.manifest(generation, overlay)
        return bundle_of(top, {**contents, **self._contents(top)})

    def manifest(self, generation: str, overlay: int = 0) -> Manifest:
        """The manifest of a bundle.

        Raises:
            GenerationError: there is none, or it cannot be read.
        """
        target = Target(generation, overlay)
        if generation not in self.files.folders(""):
            raise GenerationError(
                f"there is no generation {generation!r} in {self.files.url}: `watchnext generation list` names them"
            )
        path = f"{_folder(target)}/{MANIFEST}"
        try:
            manifest = decode(
                self.files.read(path),
                Manifest,
                f"{self.files.url}/{path}",
                mend=f"restore it, or remove the folder of {target} and build it again (`watchnext pipeline run`)",
            )
        except FileNotFoundError as error:
            raise GenerationError(
                f"{target} in {self.files.url} has no manifest: it was never finished or there is no such overlay; "
                "`watchnext generation list` names what there is"
            ) from error
        if manifest.target != target:
            raise GenerationError(f"{self.files.url}/{path} is the manifest of {manifest.target}, not of {target}")
        return manifest

    def remove(self, target: Target) -> None:
        """Remove an overlay, or a generation with all of its overlays.

        The manifest goes last: by it the next remover finds what a killed one has left, which `load` refuses.
        """
        folder = _folder(target)
        for name in self.files.folders(folder):
            self.files.delete_folder(f"{folder}/{name}")
        for name in self.files.names(folder):
            if name != MANIFEST:
                self.files.delete(f"{folder}/{name}")
        self.files.delete_folder(folder)

    def read(self, target: Target, name: str) -> bytes:
        """One file of a bundle, after its hash was found right: for who needs no more than that.

        Raises:
            GenerationError: there is no such bundle or file, or it is damaged.
        """
        manifest = self.manifest(target.generation, target.overlay)
        if name not in manifest.files:
            raise GenerationError(
                f"{target} has no {name}: an older release made it; retrain with `watchnext pipeline run`"
            )
        data = self._file(manifest, name)
        manifest.check_file(name, data)
        return data

    def list(self) -> list[Manifest]:
        """Finished generations, newest first.

        Raises:
            GenerationError: a manifest cannot be read.
        """
        manifests = [
            self.manifest(folder) for folder in self.files.folders("") if self.files.exists(f"{folder}/{MANIFEST}")
        ]
        return sorted(manifests, key=lambda manifest: (-manifest.created_at, manifest.generation))

    def overlays(self, generation: str) -> tuple[int, ...]:
        """Finished overlays of a generation, ascending, without 0."""
        root = f"{generation}/overlays"
        folders = self.files.folders(root)
        finished = (int(folder) for folder in folders if self.files.exists(f"{root}/{folder}/{MANIFEST}"))
        return tuple(sorted(finished))

    def pointer(self) -> Pointer:
        """The pointer; an empty one where nothing was published yet.

        Raises:
            GenerationError: it cannot be read.
        """
        try:
            return decode(
                self.files.read(POINTER),
                Pointer,
                f"{self.files.url}/{POINTER}",
                mend="restore it, or delete it and publish again (`watchnext generation publish ID`); what is loaded "
                "goes on being served",
            )
        except FileNotFoundError:
            return Pointer()

    def live(self) -> Target:
        """What is served.

        Raises:
            NoGenerationError: nothing was published yet.
        """
        live = self.pointer().live
        if live is None:
            raise NoGenerationError(
                f"nothing is published in {self.files.url}: train with `watchnext pipeline run`, "
                "or publish what `watchnext generation list` shows"
            )
        return live

    def write_pointer(self, pointer: Pointer) -> None:
        """Replace the pointer atomically."""
        self.files.write(POINTER, encode(pointer))

    def _is_whole(self, target: Target) -> bool:
        """Whether a bundle is there, to the last byte."""
        if not self.files.exists(f"{_folder(target)}/{MANIFEST}"):
            return False
        try:
            self._contents(self.manifest(target.generation, target.overlay))
        except GenerationStoreError:
            raise
        except GenerationError as error:
            log.warning("generation.damaged", target=str(target), error=str(error))
            return False
        return True

    def _put(self, manifest: Manifest, contents: Mapping[str, bytes]) -> None:
        folder = _folder(manifest.target)
        for name, data in contents.items():
            self.files.write(f"{folder}/{name}", data)
        self.files.write(f"{folder}/{MANIFEST}", encode(manifest))

    def _contents(self, manifest: Manifest) -> dict[str, bytes]:
        if manifest.spec_hash != spec_hash():
            raise GenerationError(
                f"{manifest.target} was made with feature spec {manifest.spec_hash}; this code has {spec_hash()}: "
                "retrain with `watchnext pipeline run`, or run the release that made it"
            )
        contents = {name: self._file(manifest, name) for name in manifest.files}
        manifest.check_files(contents)
        return contents

    def _file(self, manifest: Manifest, name: str) -> bytes:
        path = f"{_folder(manifest.target)}/{name}"
        try:
            return self.files.read(path)
        except FileNotFoundError as error:
            raise GenerationError(
                f"{self.files.url}/{path} is missing: the store is damaged; "
                "build the generation again (`watchnext pipeline run`)"
            ) from error


def _folder(target: Target) -> str:
    return f"{target.generation}/overlays/{target.overlay}" if target.overlay else target.generation
