# Copyright (c) mmreid contributors. All rights reserved.
"""Which images of a batch, or of the batches of all ranks, form pairs."""

from typing import NamedTuple

import torch
from mmengine.dist import all_gather, get_rank
from torch import Tensor

from mmreid.models.utils.gather import gather_with_grad


class BatchPairs(NamedTuple):
    """What the N images of a batch (the anchors) are compared with."""

    others: Tensor
    """Embeddings of the M images compared with, (M, D), with gradient."""
    same: Tensor
    """Whether two images have the same identity, (N, M), bool."""
    positive: Tensor
    """As ``same``, without the image itself, (N, M), bool."""
    valid: Tensor
    """Which anchors have both a positive and a negative, (N,), bool."""


def batch_pairs(feats: Tensor, labels: Tensor, gather: bool = False) -> BatchPairs:
    """Pairs embeddings (N, D) with labels (N,) within the batch or, with ``gather``, with the batches of all ranks."""
    others, other_labels, first = feats, labels, 0
    if gather:
        others, other_labels = gather_with_grad(feats), torch.cat(all_gather(labels))
        first = get_rank() * len(feats) if len(others) > len(feats) else 0
    same = labels[:, None] == other_labels
    itself = torch.arange(len(feats), device=feats.device)
    positive = same.clone()
    positive[itself, itself + first] = False
    return BatchPairs(others, same, positive, positive.any(1) & ~same.all(1))
