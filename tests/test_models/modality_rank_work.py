# Copyright (c) mmreid contributors. All rights reserved.
"""What every rank of the test of CrossModalReID does: ``torchrun modality_rank_work.py OUT_FILE``."""

import copy
import sys

import torch
from mmengine.dist import all_gather, get_dist_info, is_main_process
from mmengine.model import MMDistributedDataParallel

import mmreid  # noqa: F401
from mmreid.registry import MODELS
from mmreid.structures import ReIDDataSample
from mmreid.utils.dist import leave_distributed

ARCH = {'*': 'share', 'bn1': 'split', 'layer3.*': 'split'}
# Two stems and the losses of CAJ.
STEMS = dict(
    backbone=dict(norm_cfg=dict(type='BN')),
    copied_layers=('conv1', 'bn1'),
    arch='share',
    head=dict(
        type='CrossModalHead',
        in_channels=32,
        num_classes=4,
        loss_triplet=dict(type='mmreid.SquaredDifferenceTripletLoss'),
        loss_correlation=None,
        loss_mmd=None,
    ),
)
# Losses of weight and architecture steps that reach different parameters.
PHASES = dict(
    classifier_in_weights=(('ce', 'triplet'), ('triplet',)),
    neck_in_arch=(('triplet',), ('mmd',)),
    neither=(('triplet',), ('triplet',)),
)


def build(**changes) -> torch.nn.Module:
    """Builds a small model, the same on every rank."""
    torch.manual_seed(0)
    changes = copy.deepcopy(changes)
    backbone = dict(
        type='mmpretrain.ResNet',
        depth=18,
        stem_channels=4,
        base_channels=4,
        norm_cfg=dict(type='mmreid.BranchBN2d'),
    )
    backbone.update(changes.pop('backbone', {}))
    cfg = dict(
        type='CrossModalReID',
        backbone=backbone,
        neck=dict(type='BNNeck', in_channels=32),
        head=dict(type='CrossModalHead', in_channels=32, num_classes=4),
        arch=ARCH,
    )
    model = MODELS.build(dict(cfg, **changes))
    model.init_weights()
    return model


def batch(seed: int = 0, order: list[int] | None = None) -> dict:
    """Makes two images of four identities in each modality: the visible ones, then the infrared ones."""
    generator = torch.Generator().manual_seed(seed)
    inputs = torch.randint(0, 256, (16, 3, 64, 32), generator=generator, dtype=torch.uint8)
    samples = [
        ReIDDataSample(metainfo=dict(modality='visible' if i < 8 else 'infrared', sample_idx=i)).set_gt_label(
            i % 8 // 2
        )
        for i in range(16)
    ]
    order = list(range(16)) if order is None else order
    return dict(inputs=inputs[order], data_samples=[samples[i] for i in order])


def gradients(model: torch.nn.Module, data: dict) -> dict[str, torch.Tensor]:
    """Computes the gradients of a training step; the model may be wrapped."""
    plain = getattr(model, 'module', model)
    plain.zero_grad()
    losses = model(**plain.data_preprocessor(data, training=True), mode='loss')
    plain.parse_losses(losses)[0].backward()
    return {name: p.grad for name, p in plain.named_parameters() if p.requires_grad}


def main(out: str) -> None:
    """Trains networks without leave to have unused parameters: frozen and searched on two batches a rank; and in turn
    with losses that differ by phase.
    """
    torch.distributed.init_process_group('gloo')
    rank = get_dist_info()[0]
    results = {}
    for name, changes in dict(frozen={}, searched=dict(mutator=dict(type='BNMutator')), stems=STEMS).items():
        model = MMDistributedDataParallel(build(**changes), broadcast_buffers=False)
        for step in range(2):  # parameters without a gradient are found in the next forward
            grads = gradients(model, batch(2 * step + rank))
        equal = [torch.equal(*all_gather(grad)) for grad in grads.values()]
        results[name] = dict(grads=grads, replicas_equal=all(equal))
    for name, (weights, arch) in PHASES.items():
        head = dict(type='CrossModalHead', in_channels=32, num_classes=4, weight_losses=weights, arch_losses=arch)
        model = MMDistributedDataParallel(build(head=head, mutator=dict(type='BNMutator')), broadcast_buffers=False)
        for model.module.phase in ('weights', 'arch', 'weights', 'arch'):
            grads = gradients(model, batch(rank))
        results[name] = dict(grads=grads, replicas_equal=all(torch.equal(*all_gather(g)) for g in grads.values()))
    if is_main_process():
        torch.save(results, out)
    leave_distributed()


if __name__ == '__main__':
    main(sys.argv[1])
