"""Readers of real data sets, the simulator, replays, time splits, label building."""

from watchnext.contracts.names import DERIVED_SURFACE
from watchnext.data.datasets import DATASETS, check_name, open_dataset

__all__ = ["DATASETS", "DERIVED_SURFACE", "check_name", "open_dataset"]
