# Copyright (c) mmreid contributors. All rights reserved.
"""What every rank of test_distributed.py does: ``torchrun rank_work.py OUT_FILE``. Also imported, to do it on one."""

import sys
from types import SimpleNamespace

import numpy as np
import torch
from mmengine.dist import get_dist_info, is_main_process
from mmengine.model import MMDistributedDataParallel

import mmreid  # noqa: F401
from mmreid.datasets import IdentityBatchSampler, KInstanceSampler, RandomIdentitySampler
from mmreid.engine import JointOptimWrapperConstructor
from mmreid.evaluation import LLCMMetric, RegDBMetric, ReIDMetric, SYSUMetric
from mmreid.models import CosineMatcher, TripletLoss
from mmreid.models.utils import gather_with_grad
from mmreid.registry import MODELS
from mmreid.structures import ReIDDataSample
from mmreid.utils.dist import leave_distributed

LABELS = [0, 0, 1, 1, 2, 2, 1, 1, 0, 0, 2, 2]  # identities recur on other ranks: only mining over ranks sees it


def build() -> torch.nn.Module:
    """Builds a small model, the same on every rank, whose batch norms are in eval mode."""
    torch.manual_seed(0)
    model = MODELS.build(
        dict(
            type='ImageReID',
            backbone=dict(type='mmpretrain.ResNet', depth=18, base_channels=4),
            neck=dict(type='BNNeck', in_channels=32),
            head=dict(
                type='ReIDHead', in_channels=32, num_classes=3, loss_metric=dict(type='TripletLoss', gather=True)
            ),
        )
    )
    model.eval()
    return model


def batch() -> dict:
    """Makes this rank's part of the global batch."""
    generator = torch.Generator().manual_seed(1)
    inputs = torch.randint(0, 256, (len(LABELS), 3, 64, 32), generator=generator, dtype=torch.uint8)
    samples = [ReIDDataSample(metainfo=dict(sample_idx=i)).set_gt_label(label) for i, label in enumerate(LABELS)]
    # Twelve images of the six pairs in LABELS, chosen as in training; every rank takes its share of the pairs.
    pairs = SimpleNamespace(gt_labels=np.arange(len(LABELS)) // 2)
    identity_sampler = RandomIdentitySampler(pairs, seed=0, batches_per_epoch=1)
    instance_sampler = KInstanceSampler(num_instances=2)
    (chosen,) = IdentityBatchSampler(
        identity_sampler, len(LABELS) // get_dist_info()[1], instance_sampler=instance_sampler
    )
    return dict(inputs=inputs[chosen], data_samples=[samples[i] for i in chosen])


def training_step() -> dict[str, torch.Tensor]:
    """Trains one step with SGD and gives the weights after it."""
    model = build()
    wrapped = model
    if get_dist_info()[1] > 1:
        wrapped = MMDistributedDataParallel(model, broadcast_buffers=False)
        wrapped.eval()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    losses = wrapped(**model.data_preprocessor(batch()), mode='loss')
    (losses['loss_ce'] + losses['loss_metric']).backward()
    optimizer.step()
    return {name: value.detach().clone() for name, value in model.named_parameters()}


def joint_steps() -> dict[str, torch.Tensor]:
    """Trains two steps of two accumulated batches, gradients of head and rest clipped apart; gives the weights."""
    model = build()
    part = dict(optimizer=dict(type='SGD', lr=0.1, momentum=0.9), clip_grad=dict(max_norm=0.5))
    cfg = dict(accumulative_counts=2, model=part, head=dict(part, modules=['head']))
    wrapper = JointOptimWrapperConstructor(cfg)(model)
    wrapper.initialize_count_status(model, 0, 4)
    wrapped = model
    if get_dist_info()[1] > 1:
        wrapped = MMDistributedDataParallel(model, broadcast_buffers=False)
        wrapped.eval()
    for _ in range(4):
        wrapped.train_step(batch(), wrapper)
    return {name: value.detach().clone() for name, value in model.named_parameters()}


def gathered_gradient() -> torch.Tensor:
    """Gives the gradient of a loss that compares every rank's embeddings with all."""
    feats = torch.randn(len(LABELS), 4, generator=torch.Generator().manual_seed(2))
    rank, size = get_dist_info()
    part = slice(rank * len(LABELS) // size, (rank + 1) * len(LABELS) // size)
    mine = feats[part].clone().requires_grad_()
    labels = torch.tensor(LABELS)[part]
    TripletLoss(gather=True)(mine, labels).backward()
    # A rank's loss is the mean over its own anchors; what DDP averages over ranks is the mean over all.
    return gather_with_grad(mine.grad / size)


def metrics() -> dict[str, float]:
    """Evaluates a test set whose samples arrive interleaved over ranks, the last batch padded."""
    generator = torch.Generator().manual_seed(3)
    count = 41
    feats = torch.randn(count, 6, generator=generator)
    feats[5] = feats[30]  # a tie
    pids, camids = (
        torch.randint(0, 5, (count,), generator=generator),
        torch.randint(0, 3, (count,), generator=generator),
    )
    rank, size = get_dist_info()
    metric = ReIDMetric()
    metric.matcher = CosineMatcher()
    indices = list(range(count)) + list(range(-count % size))
    for i in indices[rank::size]:
        split = 'query' if i < 9 else 'gallery'
        row = dict(pid=int(pids[i]), camid=int(camids[i]), split=split, sample_idx=i, img_path=f'{i}')
        metric.process(None, [dict(row, feature=feats[i])])
    return metric.evaluate(count)


def drawn_galleries() -> dict[str, float]:
    """Evaluates visible-infrared test sets in batches, of which some ranks have none, with re-ranking."""
    generator = torch.Generator().manual_seed(4)
    rows = [
        dict(pid=pid, camid=camid, split='query' if camid in (2, 5) else 'gallery', img_path=f'{pid} {camid} {i}')
        for camid in (2, 5, 0, 1, 3, 4)
        for pid in range(6)
        for i in range(3)
    ]
    rank, size = get_dist_info()
    post = [dict(type='QueryExpansion', k=3), dict(type='KReciprocalRerank', k1=4, k2=2)]
    metrics = [
        SYSUMetric(mode=('all', 'indoor'), shot=(1, 2), trials=3, post=post),
        RegDBMetric(prefix='regdb', feature_dtype='float16'),
        LLCMMetric(prefix='llcm', trials=2),
    ]
    for start in range(0, len(rows), 20):
        for i, row in enumerate(rows[start : start + 20], start):
            row['modality'] = 'infrared' if row['split'] == 'query' else 'visible'
            row.update(sample_idx=i, feature=torch.randn(6, generator=generator))
        if start // 20 % size == rank:
            for metric in metrics:
                metric.matcher = CosineMatcher()
                metric.process(None, rows[start : start + 20])
    values = {}
    for metric in metrics:
        values.update(metric.evaluate(len(rows)))
        values.update({key: value for key, value in metric.details.items() if key.endswith('_std')})
    return values


def failing_metric() -> str:
    """Loses an image, which rank 0 notices: every rank must hear of it."""
    metric = ReIDMetric()
    metric.matcher = CosineMatcher()
    row = dict(pid=0, camid=0, split='query', sample_idx=0, img_path='0', feature=torch.ones(2))
    metric.process(None, [row])
    try:
        metric.evaluate(2)
    except RuntimeError as error:
        return str(error)
    return 'no error'


def everything() -> dict:
    """Runs all of it on the ranks there are."""
    results = dict(weights=training_step(), joint=joint_steps(), gradient=gathered_gradient(), failure=failing_metric())
    results['metrics'] = metrics() | drawn_galleries()
    results['failures'] = [results.pop('failure')]
    if get_dist_info()[1] > 1:
        from mmengine.dist import all_gather_object

        results['failures'] = all_gather_object(results['failures'][0])
        weights = torch.cat([value.flatten() for value in results['weights'].values()])
        others = [torch.empty_like(weights) for _ in range(get_dist_info()[1])]
        torch.distributed.all_gather(others, weights)
        results['replicas_equal'] = all(torch.equal(weights, other) for other in others)
    return results


if __name__ == '__main__':
    torch.set_num_threads(1)
    torch.distributed.init_process_group('gloo')
    outcome = everything()
    if is_main_process():
        torch.save(outcome, sys.argv[1])
    leave_distributed()
