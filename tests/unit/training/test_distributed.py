import numpy as np
import pytest
import torch

from watchnext.training.distributed import ALONE, Share, joined
from watchnext.training.loop import Shuffled


def shuffled(examples: int, share: Share) -> Shuffled:
    return Shuffled(examples, batch=4, seed=3, make=lambda chosen: {"at": chosen}, share=share)


@pytest.mark.parametrize("examples", [8, 10, 11])
def test_the_parts_of_all_processes_are_the_batches_of_one(examples):
    parts = [shuffled(examples, Share(rank, 2)) for rank in range(2)]
    whole = shuffled(examples, ALONE)
    together = [
        sorted(np.concatenate([first["at"], second["at"]]).tolist())
        for first, second in zip(parts[0].epoch(1), parts[1].epoch(1), strict=True)
    ]
    assert together == [sorted(batch["at"].tolist()) for batch in whole.epoch(1)]


def test_a_rest_that_is_too_small_for_all_is_left_out():
    assert [shuffled(9, Share(rank, 2)).steps for rank in range(2)] == [2, 2]
    assert [len(list(shuffled(9, Share(rank, 2)).epoch(0))) for rank in range(2)] == [2, 2]
    assert shuffled(9, ALONE).steps == 3


def test_without_torchrun_a_process_is_alone():
    with joined() as share:
        assert share == ALONE
    assert not torch.distributed.is_initialized()
