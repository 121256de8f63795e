# Copyright (c) mmreid contributors. All rights reserved.
"""What every rank of the test of PairwiseReID does: ``torchrun pairwise_rank_work.py OUT_FILE``. Also imported."""

import sys

import torch
from mmengine.dist import all_gather, get_dist_info, is_main_process
from mmengine.model import MMDistributedDataParallel

import mmreid  # noqa: F401
from mmreid.registry import MODELS
from mmreid.structures import ReIDDataSample
from mmreid.utils.dist import leave_distributed

LABELS = [0, 0, 1, 1, 1, 1, 2, 2]  # an identity is on both ranks: only scores over ranks see it
BACKBONE = dict(type='mmreid.ResNetIBN', depth=18, stem_channels=4, base_channels=4, out_indices=(2,))


def config(**changes) -> dict:
    """The config of a small model, whose maps of 16 channels are 4 x 2."""
    cfg = dict(
        type='PairwiseReID',
        backbone=dict(BACKBONE),
        neck=dict(type='FeatureMapNeck', in_channels=16, out_channels=8),
        matcher=dict(type='QAConvMatcher', size=(4, 2)),
        head=dict(
            type='PairwiseHead',
            num_classes=4,
            loss_memory=dict(type='ClassMemoryLoss', channels=8, size=(4, 2), chunk=3),
        ),
        backbone_norm_eval=True,
    )
    return dict(cfg, **changes)


def build(**changes) -> torch.nn.Module:
    """Builds the model, the same on every rank."""
    torch.manual_seed(0)
    return MODELS.build(config(**changes))


def batch(labels: list[int] | None = None) -> dict:
    """Makes random images, those with the index of this rank's share of the labels."""
    rank, size = get_dist_info()
    generator = torch.Generator().manual_seed(1)
    inputs = torch.randint(0, 256, (len(LABELS), 3, 64, 32), generator=generator, dtype=torch.uint8)
    samples = [
        ReIDDataSample(metainfo=dict(sample_idx=i)).set_gt_label(label) for i, label in enumerate(labels or LABELS)
    ]
    part = slice(rank * len(LABELS) // size, (rank + 1) * len(LABELS) // size)
    return dict(inputs=inputs[part], data_samples=samples[part])


def train(steps: int = 3) -> dict[str, torch.Tensor]:
    """Trains some steps with all batch norms in eval mode; gives the state after them."""
    model = build()
    wrapped = MMDistributedDataParallel(model, broadcast_buffers=False) if get_dist_info()[1] > 1 else model
    wrapped.eval()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    for _ in range(steps):
        optimizer.zero_grad()
        losses = wrapped(**model.data_preprocessor(batch(), training=True), mode='loss')
        model.parse_losses(losses)[0].backward()
        optimizer.step()
    return {key: value.clone() for key, value in model.state_dict().items()}


if __name__ == '__main__':
    torch.set_num_threads(1)
    torch.distributed.init_process_group('gloo')
    state = train()
    equal = all(torch.equal(*all_gather(value)) for value in state.values())
    if is_main_process():
        torch.save(dict(state=state, replicas_equal=equal), sys.argv[1])
    leave_distributed()
