"""Ends the servers of a starter that dies before it is done: `kill -9` of `watchnext up` leaves no orphan.

The starter holds the write end of this process's standard input. The end of the input without the word `release`
means that the starter is gone.
"""

import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Final

from watchnext.local.processes import STARTER_MARK, kill_marked, marked_pids

RELEASE: Final = b"release"
STOP_SECONDS: Final = 5.0


@contextmanager
def guarded(*keep: int) -> Iterator[str]:
    """A starter's id: processes whose environment carries it in `WATCHNEXT_STARTER` do not outlive a crash in the body.

    The guardian inherits the descriptors `keep`: a lock is held until it has ended what a crash left. Leaving the body
    in order releases them. After an error the caller ends what it started; what it does not come to end, such as at a
    second Ctrl-C, ends here.
    """
    starter = uuid.uuid4().hex
    command = ["setsid", "--fork", sys.executable, "-m", "watchnext.local.guardian", starter]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, pass_fds=keep
    ) as fork:
        assert fork.stdin is not None
        yield starter
        with suppress(BrokenPipeError):
            fork.stdin.write(RELEASE)
            fork.stdin.close()


def watch(starter: str) -> None:
    """Waits for the end of the starter; ends its servers unless they were released."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if sys.stdin.buffer.read() == RELEASE:
        return
    for pid in marked_pids(STARTER_MARK, starter):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + STOP_SECONDS
    while marked_pids(STARTER_MARK, starter) and time.monotonic() < deadline:
        time.sleep(0.1)
    kill_marked(STARTER_MARK, starter)


if __name__ == "__main__":
    watch(sys.argv[1])
