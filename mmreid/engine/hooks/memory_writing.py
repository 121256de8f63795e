# Copyright (c) mmreid contributors. All rights reserved.
"""Exchanges the features of a step between ranks before a memory is written."""

from typing import Any

import torch
from mmengine.dist import all_gather


def of_all_ranks(pending: tuple[torch.Tensor, torch.Tensor], group: Any) -> tuple[torch.Tensor, torch.Tensor]:
    """Joins the features (N, D) and rows (N,) that each rank remembered, in rank order.

    Args:
        pending (tuple[torch.Tensor, torch.Tensor]): What ``take_pending`` of a memory returned.
        group (Any): The :func:`~mmreid.utils.dist.host_group`, which exchanges the rows.

    Returns:
        tuple[torch.Tensor, torch.Tensor]: Features and, on the host, rows of all ranks.
    """
    feats, rows = pending
    return torch.cat(all_gather(feats.contiguous())), torch.cat(all_gather(rows.contiguous(), group=group))
