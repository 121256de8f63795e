# Copyright (c) mmreid contributors. All rights reserved.
"""Leaves the group of ranks in order."""

import torch
from mmengine.dist import barrier, is_distributed


def leave_distributed() -> None:
    """Waits for all ranks and destroys the group; a process that exits without it may abort with an error.

    Does nothing without distributed training.
    """
    if is_distributed():
        barrier()
        torch.distributed.destroy_process_group()
