"""Readers of real data sets, the simulator, replays, time splits, label building."""

from watchnext.data.datasets import DATASETS, open_dataset
from watchnext.data.records import DERIVED_SURFACE

__all__ = ["DATASETS", "DERIVED_SURFACE", "open_dataset"]
