"""Where and how a training step runs: a GPU where there is one, threads by the settings."""

import torch
from torch.distributed import get_node_local_rank

from watchnext.settings import Settings


def device_of(settings: Settings) -> torch.device:
    """The device to train on; sets torch's threads to `training.threads`, or to 1.

    Each process of a training has a GPU of its own. The layers are small: threads that wait for each other on a busy
    machine made an epoch 5 to 10 times slower.
    """
    torch.set_num_threads(settings.training.threads or 1)
    if not torch.cuda.is_available():
        return torch.device("cpu")
    device = torch.device("cuda", get_node_local_rank(fallback_rank=0))
    torch.cuda.set_device(device)
    return device
