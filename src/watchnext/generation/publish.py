"""Publishing: verify, stage, wait until every live replica has loaded it, move the pointer. And rolling back.

Nothing that is served changes before the pointer moves, and the pointer moves only when each replica could serve the
new generation in the next moment. A failure on the way leaves the pointer where it was.

>>> publish(store, "0123456789abcdef", 0, settings).live                                # doctest: +SKIP
Target(generation='0123456789abcdef', overlay=0)
"""

import time
from collections.abc import Callable, Mapping
from typing import Final

import msgspec
import structlog

from watchnext.errors import GenerationError
from watchnext.generation.collection import load_index, verify_index
from watchnext.generation.lock import check_held, is_held, publishing
from watchnext.generation.manifest import Pointer, Target
from watchnext.generation.retention import forget_collection, remove_superseded
from watchnext.generation.store import GenerationStore
from watchnext.generation.verify import verify_probes
from watchnext.index.milvus import VideoIndex
from watchnext.settings import Settings

LOCK_MARGIN_S: Final = 60.0  # beyond the time-out of the acknowledgements
ROLLBACK_LOCK_S: Final = 10.0

log = structlog.get_logger()


def quiet(step: str) -> None:
    """Progress that nobody asked for."""


def publish(
    store: GenerationStore,
    generation: str,
    overlay: int,
    settings: Settings,
    *,
    replacing: Target | None = None,
    say: Callable[[str], None] = quiet,
) -> Pointer:
    """Make `generation` with `overlay` the live one.

    Args:
        store: where it was built.
        generation: its id.
        overlay: 0 for none.
        settings: names Milvus, the time-out, the interval of looks, and how many generations stay.
        replacing: what it was built on and must still be live; none where anything may be.
        say: told of each step.

    Returns:
        The pointer after the move.

    Raises:
        GenerationError: it does not verify, a replica refuses it or does not acknowledge it in time, another
            publisher is at work, or what is live is not `replacing`. The pointer is where it was.
        VectorIndexError: Milvus is down. The pointer is where it was.
    """
    target = Target(generation, overlay)
    say(f"verifying {target}: files, feature spec, probe users")
    bundle = store.load(generation, overlay)
    verify_probes(bundle)
    index = VideoIndex.open(settings)
    say(f"loading {bundle.collection} into Milvus: {bundle.manifest.videos} vectors")
    load_index(bundle, index)
    timeout_s = settings.generations.ack_timeout_s
    with publishing(store.files, store.clock, hold_s=timeout_s + LOCK_MARGIN_S) as lock:
        before = store.pointer()
        try:
            if replacing not in (None, before.live):
                raise GenerationError(
                    f"{target} was built on {replacing}, and {before.live} went live meanwhile: nothing was published; "
                    "run refresh_index again (`watchnext pipeline run refresh_index`)"
                )
            store.replicas.forget_dead()
            store.manifest(generation, overlay)  # both in the lock: before it another may have removed the files
            verify_index(bundle, index)  # or dropped the collection
            check_held(store.files, lock)  # or, Milvus being slow, what another made live would be moved back
            store.write_pointer(msgspec.structs.replace(before, staged=target, attempt=lock.token))
            _wait_for_replicas(store, target, lock.token, timeout_s, settings.generations.poll_s, say)
            check_held(store.files, lock)
        except BaseException:
            if store.pointer().attempt == lock.token:
                store.write_pointer(before.unstaged())
            if is_held(store.files, lock) and target not in (before.live, before.previous):
                forget_collection(index, target)  # or each refresh that one hung replica stops would leave one
            raise
        pointer = before.moved(target, store.clock.now_ms())
        store.write_pointer(pointer)
        log.info("generation.published", target=str(target), previous=str(pointer.previous))
        if before.previous not in (None, pointer.live, pointer.previous):
            forget_collection(index, before.previous)
        remove_superseded(store, index, pointer, settings.generations.kept, lock)
    return pointer


def rollback(store: GenerationStore) -> Pointer:
    """Make the previous generation the live one again; what was live becomes the previous one.

    Returns:
        The pointer after the move.

    Raises:
        NoGenerationError: nothing was published yet.
        GenerationError: there is no previous generation, a live replica refuses it, or a publisher is at work.
    """
    live = store.live()
    with publishing(store.files, store.clock, hold_s=ROLLBACK_LOCK_S) as lock:
        before = store.pointer()
        if before.previous is None:
            raise GenerationError(
                f"{live} is the first that was published: there is nothing to roll back to; "
                "`watchnext generation list` shows what can be published"
            )
        refused = {one.name: one.refused.get(str(before.previous), "") for one in store.replicas.alive()}
        _check_not_refused(before.previous, refused)
        pointer = before.moved(before.previous, store.clock.now_ms())
        check_held(store.files, lock)
        store.write_pointer(pointer)
    log.info("generation.rolled_back", target=str(pointer.live), previous=str(live))
    return pointer


def _check_not_refused(target: Target, reasons: Mapping[str, str]) -> None:
    """Nothing, where each of the live replicas has no reason to refuse `target`: all are ""."""
    for replica, reason in reasons.items():
        if reason:
            raise GenerationError(f"{replica} refuses {target}: {reason} (the pointer was not moved)")


def _wait_for_replicas(
    store: GenerationStore,
    target: Target,
    attempt: str,
    timeout_s: float,
    poll_s: float,
    say: Callable[[str], None],
) -> None:
    """Return once every live replica has loaded `target`; at once where there is none."""
    deadline = time.monotonic() + timeout_s
    told: set[str] = set()
    while True:
        replicas = store.replicas.alive()
        _check_not_refused(target, {replica.name: replica.refusal(target, attempt) for replica in replicas})
        waiting = {replica.name for replica in replicas if not replica.acknowledges(target, attempt)}
        if not waiting:
            return
        if time.monotonic() > deadline:
            raise GenerationError(
                f"{', '.join(sorted(waiting))} did not load {target} within {timeout_s:g} s: see their logs, or raise "
                "generations.ack_timeout_s (the pointer was not moved)"
            )
        if waiting != told:
            say(f"waiting for {', '.join(sorted(waiting))}")
            told = waiting
        time.sleep(poll_s)
