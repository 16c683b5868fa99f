"""One publisher at a time: a lock file with an owner and an end, checked again right before the pointer moves.

Where a publisher is killed, its lock runs out by itself. Two that both find a lock run out are told apart by the
check: the one whose token is not in the file any more gives up.
"""

import os
import secrets
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import msgspec

from watchnext.clock import Clock
from watchnext.errors import GenerationError
from watchnext.generation.files import Files
from watchnext.generation.manifest import decode, encode

LOCK_FILE: Final = "publish.lock"


class Lock(msgspec.Struct, frozen=True, kw_only=True):
    """What the lock file holds."""

    owner: str
    token: str
    expires_at: int  # epoch ms


@contextmanager
def publishing(files: Files, clock: Clock, *, hold_s: float) -> Iterator[Lock]:
    """Hold the store's lock for at most `hold_s` seconds.

    Raises:
        GenerationError: another publisher holds it.
    """
    lock = Lock(
        owner=f"{socket.gethostname()}:{os.getpid()}",
        token=secrets.token_hex(8),
        expires_at=clock.now_ms() + int(hold_s * 1_000),
    )
    if not files.create(LOCK_FILE, encode(lock)):
        _take_over(files, clock, lock)
    try:
        yield lock
    finally:
        if is_held(files, lock):
            files.delete(LOCK_FILE)


def is_held(files: Files, lock: Lock) -> bool:
    """Whether `lock` is still the one in force."""
    return _read(files) == lock


def check_held(files: Files, lock: Lock) -> None:
    """Nothing, where `lock` is still the one in force.

    Raises:
        GenerationError: it ran out and another publisher took over.
    """
    held = _read(files)
    if held != lock:
        raise GenerationError(
            f"the publish lock of {files.url} was taken over by {held.owner if held else 'nobody'}: "
            "see `watchnext generation show`, then publish again"
        )


def _take_over(files: Files, clock: Clock, lock: Lock) -> None:
    """Replace a lock that ran out."""
    held = _read(files)
    if held == lock:  # a client that lost the server's answer asked again, and found what it had made
        return
    if held is not None:
        if held.expires_at > clock.now_ms():
            raise GenerationError(
                f"{held.owner} is publishing to {files.url}: wait for it, or if that process is gone try again in "
                f"{(held.expires_at - clock.now_ms()) / 1_000:.0f} s"
            )
        files.delete(LOCK_FILE)
    if not files.create(LOCK_FILE, encode(lock)):
        raise GenerationError(f"another process has just begun to publish to {files.url}: try again")


def _read(files: Files) -> Lock | None:
    try:
        return decode(
            files.read(LOCK_FILE), Lock, f"{files.url}/{LOCK_FILE}", mend="delete it, unless somebody publishes now"
        )
    except FileNotFoundError:
        return None
