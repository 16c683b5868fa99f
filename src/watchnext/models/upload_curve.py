"""How the days since its upload change a video's chance to be watched next: a curve that all videos share.

Paper, section 3.3: users prefer what is new, and a model that is told the age of its examples can tell the popularity
of the day from the mean of all days. Of a few watches a video no model learns when each was uploaded; here it is told
(docs/adr/0042). The curve is a sum of waves of t − d, where t is how long before the end of training a video was
uploaded and d the example age. A wave of a difference is a sum of products, cos(t − d) = cos t cos d + sin t sin d: so
the curve is an inner product of a user's part and a video's part, and the index needs to know nothing of it.
"""

import math
from typing import Final

import torch
from torch import Tensor, nn

PERIODS: Final = (2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 256.0, 1_024.0)  # days
HORIZON_DAYS: Final = 512.0  # half the longest wave: what is older counts as this old
WIDTH: Final = 2 * len(PERIODS)  # of either part
GAIN: Final = 10.0  # of the learnt numbers: each is of all examples, and may move faster than a layer's weight


class UploadCurve(nn.Module):
    """The curve, flat at the start."""

    frequencies: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.cosines = nn.Parameter(torch.zeros(len(PERIODS)))
        self.sines = nn.Parameter(torch.zeros(len(PERIODS)))
        self.register_buffer("frequencies", 2 * math.pi / torch.tensor(PERIODS), persistent=False)

    def of_users(self, example_age_days: Tensor) -> Tensor:
        """`[n]` to `[n, WIDTH]`."""
        return torch.cat(self._waves(example_age_days), dim=1)

    def of_videos(self, days_to_the_end: Tensor) -> Tensor:
        """`[n]`, from upload to the end of training, to `[n, WIDTH]`; later uploads are new at its end."""
        cos, sin = self._waves(days_to_the_end)
        a, b = GAIN * self.cosines, GAIN * self.sines
        return torch.cat([a * cos + b * sin, a * sin - b * cos], dim=1)

    def _waves(self, days: Tensor) -> tuple[Tensor, Tensor]:
        angles = days.clamp(0, HORIZON_DAYS).unsqueeze(1) * self.frequencies
        return angles.cos(), angles.sin()
