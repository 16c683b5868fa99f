"""How many processes encode moments."""

from typing import Any
from unittest.mock import Mock

import numpy as np
import pandas as pd
import pytest

from watchnext.settings import Settings, Training
from watchnext.training import moments
from watchnext.training.moments import Encoder, Impressions, encode_moments


class StartedError(Exception):
    """In the place of processes: how many there would be."""


def started(processes: int, *_: Any) -> Any:
    raise StartedError(processes)


@pytest.mark.parametrize(("threads", "parts", "processes"), [(0, 20, 8), (12, 20, 12), (0, 3, 3)])
def test_a_machine_of_many_cores_encodes_by_eight_processes_unless_told(
    monkeypatch: pytest.MonkeyPatch, threads: int, parts: int, processes: int
) -> None:
    """Each holds a part and the log that it reads: 64 of them would be 64 times the memory."""
    monkeypatch.setattr(moments.joblib, "cpu_count", lambda: 64)
    monkeypatch.setattr(moments, "ProcessPoolExecutor", started)
    monkeypatch.setattr(moments, "PART", 1)
    encoder = Encoder(Settings(training=Training(threads=threads)), Mock(), Mock())
    nothing = np.zeros(0, np.int64)
    shown = Impressions(nothing, nothing, nothing, nothing, nothing)
    with pytest.raises(StartedError) as raised:
        next(encode_moments(encoder, pd.DataFrame({"user_id": ["u"] * parts}), shown, np.zeros(parts, bool)))
    assert raised.value.args == (processes,)
