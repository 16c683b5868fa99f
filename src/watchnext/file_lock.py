"""A lock on a file, between processes of one machine; it goes when the process that holds it ends."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from watchnext.errors import WatchnextError


@contextmanager
def locked(path: Path, refusal: WatchnextError, *, shared: bool = False) -> Iterator[None]:
    """Hold the lock of `path`, made where it is missing, or raise `refusal` where another holds it.

    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder, locked(Path(folder, "lock"), WatchnextError("one is at work")):
    ...     with locked(Path(folder, "lock"), WatchnextError("one is at work")):
    ...         pass
    Traceback (most recent call last):
    watchnext.errors.WatchnextError: one is at work
    """
    with path.open("w") as lock:
        try:
            fcntl.flock(lock, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
        except BlockingIOError:
            raise refusal from None
        yield
