# Copyright (c) mmreid contributors. All rights reserved.
"""What every rank of the test of losses on pairs does: ``torchrun pair_loss_rank_work.py OUT_FILE``."""

import sys

import torch
from mmengine.dist import all_gather, get_dist_info, is_main_process

import mmreid  # noqa: F401
from mmreid.models import CircleLoss, PairwiseCosFaceLoss, WeightedTripletLoss
from mmreid.models.heads import CrossModalHead
from mmreid.models.necks import NeckFeatures
from mmreid.models.utils import gather_with_grad
from mmreid.utils.dist import leave_distributed

LABELS = [0, 0, 1, 1, 2, 2, 1, 1, 0, 0, 2, 2]  # identities recur on other ranks
UNEVEN = [0, 0, 1, 1, 2, 2, 3, 4, 5, 6, 7, 8]  # all images with a positive are on the first of two ranks
ALONE = {name: dict(weight_losses=(name,), arch_losses=(name,)) for name in ('triplet', 'correlation', 'mmd')}
MODALITY_LOSSES = dict(ALONE, of_all=dict(ALONE['triplet'], loss_triplet=dict(type='mmreid.WeightedTripletLoss')))
LOSSES = dict(weighted=WeightedTripletLoss, circle=CircleLoss, cosface=PairwiseCosFaceLoss)


def gradients(gather: bool) -> dict[str, torch.Tensor]:
    """Gives the gradient of each loss to the embeddings of the whole batch; every rank has a part of it."""
    feats = torch.randn(len(LABELS), 4, generator=torch.Generator().manual_seed(2))
    rank, size = get_dist_info()
    part = slice(rank * len(LABELS) // size, (rank + 1) * len(LABELS) // size)
    results = {}
    for labels in (LABELS, UNEVEN):
        for name, kind in LOSSES.items():
            mine = feats[part].clone().requires_grad_()
            kind(gather=gather)(mine, torch.tensor(labels)[part]).backward()
            # A rank's loss is the mean over its own anchors.
            results[name if labels is LABELS else f'{name}, uneven'] = gather_with_grad(mine.grad / size)
    return results


def gradients_of_modalities(gather: bool) -> dict[str, torch.Tensor]:
    """Gives the gradient of each loss of CrossModalHead to the embeddings (2, M, N, D) before and after the norm, of M
    modalities; every rank has a part of the N images.
    """
    feats = torch.randn(2, 2, len(LABELS), 4, generator=torch.Generator().manual_seed(3))
    rank, size = get_dist_info()
    part = slice(rank * len(LABELS) // size, (rank + 1) * len(LABELS) // size)
    labels = torch.tensor(LABELS)[part].repeat(2)
    results = {}
    for name, changes in MODALITY_LOSSES.items():
        head = CrossModalHead(4, **changes, gather=gather)
        mine = feats[:, :, part].clone().requires_grad_()
        losses = head.loss(NeckFeatures(*mine.flatten(1, 2)), labels, len(labels) // 2)
        sum(value for key, value in losses.items() if key.startswith('loss_')).backward()
        results[name] = torch.cat(all_gather(mine.grad / size), dim=2)
    return results


if __name__ == '__main__':
    torch.set_num_threads(1)
    torch.distributed.init_process_group('gloo')
    outcome = dict(gradients(gather=True), **gradients_of_modalities(gather=True))
    if is_main_process():
        torch.save(outcome, sys.argv[1])
    leave_distributed()
