# Copyright (c) mmreid contributors. All rights reserved.
"""Ends distributed training properly."""

import torch
from mmengine.dist import barrier, is_distributed


def leave_distributed() -> None:
    """Waits for all ranks and destroys the group, because a process that exits without it may abort with an error."""
    if is_distributed():
        barrier()
        torch.distributed.destroy_process_group()
