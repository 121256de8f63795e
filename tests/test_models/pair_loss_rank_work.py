# Copyright (c) mmreid contributors. All rights reserved.
"""What every rank of the test of losses on pairs does: ``torchrun pair_loss_rank_work.py OUT_FILE``."""

import sys

import torch
from mmengine.dist import get_dist_info, is_main_process

import mmreid  # noqa: F401
from mmreid.models import CircleLoss, PairwiseCosFaceLoss, WeightedTripletLoss
from mmreid.models.utils import gather_with_grad
from mmreid.utils.dist import leave_distributed

LABELS = [0, 0, 1, 1, 2, 2, 1, 1, 0, 0, 2, 2]  # identities recur on other ranks
LOSSES = dict(weighted=WeightedTripletLoss, circle=CircleLoss, cosface=PairwiseCosFaceLoss)


def gradients(gather: bool) -> dict[str, torch.Tensor]:
    """Gives the gradient of each loss to the embeddings of the whole batch; every rank has a part of it."""
    feats = torch.randn(len(LABELS), 4, generator=torch.Generator().manual_seed(2))
    rank, size = get_dist_info()
    part = slice(rank * len(LABELS) // size, (rank + 1) * len(LABELS) // size)
    results = {}
    for name, kind in LOSSES.items():
        mine = feats[part].clone().requires_grad_()
        kind(gather=gather)(mine, torch.tensor(LABELS)[part]).backward()
        results[name] = gather_with_grad(mine.grad / size)  # a rank's loss is the mean over its own anchors
    return results


if __name__ == '__main__':
    torch.set_num_threads(1)
    torch.distributed.init_process_group('gloo')
    outcome = gradients(gather=True)
    if is_main_process():
        torch.save(outcome, sys.argv[1])
    leave_distributed()
