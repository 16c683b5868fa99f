"""What the generation store writes as JSON: manifests, the pointer, and what each replica says of itself.

A manifest is immutable. Its hash covers everything in it but the time and the names that hold the hash: each file's
sha256, the feature spec, the data snapshot, the model configs and the metrics. The generation's id is that hash, so
equal content has one id, wherever it was built.

>>> Target("0123456789abcdef", 2)
Target(generation='0123456789abcdef', overlay=2)
>>> str(Target("0123456789abcdef", 2))
'0123456789abcdef.2'
"""

import hashlib
from collections.abc import Mapping
from typing import Any, Final, TypeVar

import msgspec

from watchnext.errors import GenerationError

POINTER: Final = "live.json"
REPLICAS: Final = "replicas"  # the folder of their files
ID_LENGTH: Final = 16

Message = TypeVar("Message", bound=msgspec.Struct)


class Target(msgspec.Struct, frozen=True):
    """One generation with one overlay: what is loaded, served and named in answers."""

    generation: str
    overlay: int = 0

    def __str__(self) -> str:
        return f"{self.generation}.{self.overlay}"


class FileEntry(msgspec.Struct, frozen=True):
    """One file of a bundle."""

    sha256: str
    size: int = msgspec.field(name="bytes")

    @classmethod
    def of(cls, data: bytes) -> "FileEntry":
        """The entry of a file with these bytes."""
        return cls(hashlib.sha256(data).hexdigest(), len(data))


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """A generation (overlay 0) or one overlay of it."""

    generation: str  # the content hash; of an overlay, the hash of the generation that it lies on
    overlay: int = 0
    hash: str  # of this manifest's own content; equal to `generation` for overlay 0
    collection: str  # Milvus
    files: dict[str, FileEntry]
    spec_hash: str  # of the feature code that made it
    snapshot: str  # id of the training data
    videos: int
    dim: int
    counters_at: int  # epoch ms: the video counters are as of this time
    configs: dict[str, Any] = {}
    metrics: dict[str, float] = {}
    created_at: int  # epoch ms

    @property
    def target(self) -> Target:
        """What answers call it."""
        return Target(self.generation, self.overlay)

    def content_hash(self) -> str:
        """The hash that `hash` must be."""
        content = {
            "base": str(self.target) if self.overlay else "",
            "files": sorted((name, entry.sha256) for name, entry in self.files.items()),
            "spec_hash": self.spec_hash,
            "snapshot": self.snapshot,
            "videos": self.videos,
            "dim": self.dim,
            "counters_at": self.counters_at,
            "configs": self.configs,
            "metrics": self.metrics,
        }
        canonical = msgspec.json.encode(content, order="deterministic")
        return hashlib.sha256(canonical).hexdigest()[:ID_LENGTH]

    def check_file(self, name: str, data: bytes) -> None:
        """Nothing, where `data` is what the file `name` must hold.

        Raises:
            GenerationError: it was cut short or changed.
        """
        entry, found = self.files[name], FileEntry.of(data)
        if found != entry:
            raise GenerationError(
                f"{self.target}/{name} has {found.size} bytes with sha256 {found.sha256[:12]}…; its manifest says "
                f"{entry.size} bytes with {entry.sha256[:12]}…: the store is damaged; build the generation again "
                "(`watchnext pipeline run`)"
            )

    def check_files(self, files: Mapping[str, bytes]) -> None:
        """Nothing, where `files` are exactly the files of this manifest.

        Raises:
            GenerationError: a file is missing, cut short or changed, or the hash does not fit the content.
        """
        for name in self.files:
            self.check_file(name, files[name])
        if self.content_hash() != self.hash or (self.overlay == 0 and self.generation != self.hash):
            raise GenerationError(
                f"the content of {self.target} hashes to {self.content_hash()}; its manifest says {self.hash}: "
                "the manifest was changed; build the generation again (`watchnext pipeline run`)"
            )


class Pointer(msgspec.Struct, frozen=True, kw_only=True):
    """`live.json`: what is served, what it replaced, what is about to replace it."""

    generation: str = ""  # empty: nothing was published yet
    overlay: int = 0
    previous: Target | None = None
    staged: Target | None = None
    attempt: str = ""  # names this staging: what a replica said of an earlier one does not count
    moved_at: int = 0  # epoch ms

    @property
    def live(self) -> Target | None:
        """What is served."""
        return Target(self.generation, self.overlay) if self.generation else None

    @property
    def targets(self) -> tuple[Target, ...]:
        """What a serving process holds loaded, each once: live, staged, previous, as far as they are."""
        return tuple(dict.fromkeys(target for target in (self.live, self.staged, self.previous) if target))

    def unstaged(self) -> "Pointer":
        """The pointer after a staging that failed."""
        return msgspec.structs.replace(self, staged=None, attempt="")

    def moved(self, to: Target, at_ms: int) -> "Pointer":
        """The pointer after a publish or a rollback to `to`."""
        previous = self.previous if to == self.live else self.live
        return Pointer(generation=to.generation, overlay=to.overlay, previous=previous, moved_at=at_ms)


class Replica(msgspec.Struct, frozen=True, kw_only=True):
    """`replicas/<name>.json`: heartbeat, acknowledgements and refusals of one process that serves a generation."""

    name: str
    at: int  # epoch ms of the last heartbeat
    attempt: str = ""  # the last staging that it has dealt with
    loaded: list[Target] = []
    refused: dict[str, str] = {}  # str(target) to the reason

    def acknowledges(self, target: Target, attempt: str) -> bool:
        """Whether it has loaded `target` for the staging `attempt`."""
        return self.attempt == attempt and target in self.loaded

    def refusal(self, target: Target, attempt: str) -> str:
        """Why it could not load `target` for the staging `attempt`; empty where it did not refuse."""
        return self.refused.get(str(target), "") if self.attempt == attempt else ""


def encode(message: msgspec.Struct) -> bytes:
    """Readable JSON."""
    return msgspec.json.format(msgspec.json.encode(message, order="sorted"), indent=2)


def decode(data: bytes, kind: type[Message], where: str, *, mend: str) -> Message:
    """The message in `data`.

    Raises:
        GenerationError: not such a message; the error names the file `where`, and what mends it.
    """
    try:
        return msgspec.json.decode(data, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise GenerationError(f"{where} cannot be read as a {kind.__name__.lower()} ({error}): {mend}") from error
