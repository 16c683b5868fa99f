"""Removing what nobody can need any more: a store that only grew would end on a full disk.

A refresh every hour writes an overlay as large as all videos, a training a whole generation. What stays: all that the
pointer names, the newest `generations.kept` generations, and of each its newest overlay, whose number the next follows.
"""

from collections.abc import Iterator

import structlog

from watchnext.contracts.names import collection_name
from watchnext.errors import GenerationError, VectorIndexError
from watchnext.generation.lock import Lock, check_held
from watchnext.generation.manifest import Pointer, Target
from watchnext.generation.store import GenerationStore
from watchnext.index.milvus import VideoIndex

log = structlog.get_logger()


def remove_superseded(store: GenerationStore, index: VideoIndex, pointer: Pointer, kept: int, lock: Lock) -> None:
    """Remove them, with their collections; a failure is a warning, since what was published is live already.

    Where Milvus hangs the lock runs out: another publisher may then make live what `pointer` does not name.
    """
    try:
        for target in superseded(store, pointer, kept):
            above = () if target.overlay else store.overlays(target.generation)
            for overlay in (target.overlay, *above):  # first: what the store has no more is never looked for again
                check_held(store.files, lock)
                forget_collection(index, Target(target.generation, overlay))
            check_held(store.files, lock)
            store.remove(target)
            log.info("generation.removed", target=str(target))
    except (GenerationError, OSError) as error:
        log.warning("generation.not_removed", error=str(error))


def superseded(store: GenerationStore, pointer: Pointer, kept: int) -> Iterator[Target]:
    """Whole generations, and overlays of those that stay.

    Args:
        store: what is in it.
        pointer: what it names stays.
        kept: how many generations stay, the newest, whether it names them or not.

    Raises:
        GenerationError: a manifest cannot be read.
    """
    named = {target for target in (pointer.live, pointer.previous, pointer.staged) if target}
    needed = {target.generation for target in named}
    for place, manifest in enumerate(store.list()):
        generation = manifest.generation
        if place >= kept and generation not in needed:
            yield Target(generation)
        else:
            older = store.overlays(generation)[:-1]
            yield from {Target(generation, overlay) for overlay in older} - named


def forget_collection(index: VideoIndex, target: Target) -> None:
    """Drop a collection; where Milvus does not, that is a warning."""
    collection = collection_name(target.generation, target.overlay)
    try:
        index.drop(collection)
    except VectorIndexError as error:
        log.warning("generation.collection_not_dropped", collection=collection, error=str(error))
