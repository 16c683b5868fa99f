"""Where and how a training step runs: a GPU where there is one, threads by the settings."""

import torch

from watchnext.settings import Settings


def device_of(settings: Settings) -> torch.device:
    """The device to train on; sets torch's threads to `training.threads`, or to 1.

    The layers are small: threads that wait for each other on a busy machine made an epoch 5 to 10 times slower.
    """
    torch.set_num_threads(settings.training.threads or 1)
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")
