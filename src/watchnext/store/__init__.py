"""Feast: online rows, the offline log, point-in-time sets. The only package that imports feast and redis.

Feast is imported here, first, and without two things that cost every process 7 of 10 seconds at its start and 0.4 GB:
torch, which Feast loads only to offer its results as tensors and does without where there is none; and typeguard's
run-time checks of Feast's own classes, which recompile their source at each import (typeguard's documentation: not for
production; its own switch, `python -O`, would want the bytecode of all packages twice).
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import typeguard


@contextmanager
def _lightly() -> Iterator[None]:
    """Neither torch, unless it is loaded already, nor typeguard for what is imported inside."""
    checked, hidden = typeguard.typechecked, "torch" not in sys.modules
    typeguard.typechecked = _unchecked
    if hidden:
        sys.modules["torch"] = None  # type: ignore[assignment]  # `import torch` raises ImportError
    try:
        yield
    finally:
        typeguard.typechecked = checked
        if hidden:
            del sys.modules["torch"]


def _unchecked(target: Any = None, **_: Any) -> Any:
    """`typeguard.typechecked` as it is under `python -O`, with and without arguments."""
    return _unchecked if target is None else target


with _lightly():
    import feast as feast
