# Copyright (c) mmreid contributors. All rights reserved.
"""What distributed training needs beyond MMEngine: exchange between hosts, and a proper end."""

from typing import Any

import torch
from mmengine.dist import barrier, get_backend, is_distributed


def host_group() -> Any:
    """Returns a group of all ranks that exchanges tensors of the host, so that no rank waits for its GPU.

    That is None, the default group, where that one does. All ranks must call it.
    """
    if not is_distributed() or get_backend() == 'gloo':
        return None
    return torch.distributed.new_group(backend='gloo')


def leave_distributed() -> None:
    """Waits for all ranks and destroys the group, because a process that exits without it may abort with an error."""
    if is_distributed():
        barrier()
        torch.distributed.destroy_process_group()
