"""Feast: online rows, the offline log, point-in-time sets. The only package that imports feast and redis.

Feast is imported here, first, and without three things. Two cost every process 7 of 10 seconds at its start and 0.4 GB:
torch, which Feast loads only to offer its results as tensors and does without where there is none; and typeguard's
run-time checks of Feast's own classes, which recompile their source at each import (typeguard's documentation: not for
production; its own switch, `python -O`, would want the bytecode of all packages twice). The third is for Feast's own
HTTP server: it puts prometheus_client into the mode for several processes, here and, by the environment, in all that
this process starts, whose metrics would go into a folder that is deleted when this process ends.
"""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import prometheus_client  # noqa: F401  (before Feast: it chooses its mode when it is imported)
import typeguard


@contextmanager
def _lightly() -> Iterator[None]:
    """Neither torch, unless it is loaded already, nor typeguard for what is imported inside; its environment stays."""
    checked, hidden = typeguard.typechecked, "torch" not in sys.modules
    unset = [name for name in ("PROMETHEUS_MULTIPROCESS_DIR", "PROMETHEUS_MULTIPROC_DIR") if name not in os.environ]
    typeguard.typechecked = _unchecked
    if hidden:
        sys.modules["torch"] = None  # type: ignore[assignment]  # `import torch` raises ImportError
    try:
        yield
    finally:
        typeguard.typechecked = checked
        if hidden:
            del sys.modules["torch"]
        for name in unset:
            os.environ.pop(name, None)


def _unchecked(target: Any = None, **_: Any) -> Any:
    """`typeguard.typechecked` as it is under `python -O`, with and without arguments."""
    return _unchecked if target is None else target


with _lightly():
    import feast as feast
