# Copyright (c) mmreid contributors. All rights reserved.
"""What distributed training needs beyond MMEngine: exchange between hosts, and a proper end."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import torch
from mmengine.dist import barrier, broadcast_object_list, get_backend, is_distributed, is_main_process


def host_group(timeout: timedelta | None = None) -> Any:
    """Returns a group of all ranks that exchanges tensors of the host, so that no rank waits for its GPU.

    That is None, the default group, where that one will do. All ranks must call it.

    Args:
        timeout (timedelta, optional): How long ranks wait for each other. Defaults to None, which is as usual.
    """
    if not is_distributed() or (timeout is None and get_backend() == 'gloo'):
        return None
    return torch.distributed.new_group(backend='gloo', timeout=timeout)


def of_first_rank(compute: Callable[[], Any]) -> Any:
    """Computes something on the first rank only, and returns it on all ranks.

    Args:
        compute (Callable): What to compute; it may be anything that can be pickled.

    Returns:
        Any: The result.

    Raises:
        Exception: On all ranks what was raised on the first, so that none waits for it.
    """
    found: list[Any] = [None, None]
    if is_main_process():
        try:
            found = [compute(), None]
        except Exception as error:
            found = [None, error]
    broadcast_object_list(found)
    if found[1] is not None:
        raise found[1]
    return found[0]


def leave_distributed() -> None:
    """Waits for all ranks and destroys the group, because a process that exits without it may abort with an error."""
    if is_distributed():
        barrier()
        torch.distributed.destroy_process_group()
