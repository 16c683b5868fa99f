"""Which vectors a refresh makes anew."""

import dataclasses

import numpy as np
import torch

from tests.unit.generation.world import HOUR_MS, parts
from watchnext.generation.refresh import _content_differs
from watchnext.generation.vectors import video_vectors


def test_a_video_of_another_upload_time_gets_another_vector() -> None:
    """Vectors hold the curve of days since upload."""
    made = parts()
    made.tower.eval()
    with torch.no_grad():
        made.tower.upload_curve.cosines.fill_(1.0)
    moved = made.videos.uploaded_at.copy()
    moved[5] -= 24 * HOUR_MS
    after = dataclasses.replace(made.videos, uploaded_at=moved)
    rows = np.arange(len(after))
    old, new = (video_vectors(made.tower, videos, rows) for videos in (made.videos, after))
    assert np.flatnonzero((old != new).any(axis=1)).tolist() == [5]
    assert np.flatnonzero(_content_differs(made.videos, after)).tolist() == [5]
