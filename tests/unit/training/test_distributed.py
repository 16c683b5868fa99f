import torch

from watchnext.training.distributed import ALONE, joined


def test_without_torchrun_a_process_is_alone():
    with joined() as share:
        assert share == ALONE
    assert not torch.distributed.is_initialized()
