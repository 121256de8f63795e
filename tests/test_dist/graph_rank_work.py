# Copyright (c) mmreid contributors. All rights reserved.
"""What every rank of test_graph_ranks.py does: ``torchrun graph_rank_work.py FOLDER``. Also imported, for one rank."""

import os
import sys

import numpy as np
import torch
from mmengine.dist import all_gather_object, is_main_process
from tiny_graph import MapMatcher, build_run, hook_of

from mmreid.engine.hooks.class_graph import nearest_classes
from mmreid.models import CosineMatcher, EuclideanMatcher
from mmreid.utils.dist import leave_distributed

EPOCHS = 3


def trained(folder: str, **changes) -> dict:
    """Trains with a rate of 0, so that runs on any number of ranks have the same weights in every epoch."""
    runner = build_run(
        folder,
        dict(save_table=True),
        model=dict(backbone=dict(norm='group')),
        optim_wrapper=dict(optimizer=dict(lr=0.0)),
        train_cfg=dict(max_epochs=EPOCHS),
        train_dataloader=dict(dataset=dict(num_ids=70)),
        launcher='pytorch' if 'RANK' in os.environ else 'none',  # which starts gloo
        **changes,
    )
    runner.train()
    record = hook_of(runner, 'RecordHook')
    graphs = all_gather_object([graph.tolist() for graph in record.graphs])
    labels = runner.train_dataloader.dataset.gt_labels.tolist()
    return dict(graphs=graphs, batches=all_gather_object(record.batches), labels=labels)


def scored() -> dict:
    """Finds neighbours with each matcher, also of fewer blocks than ranks."""
    generator = torch.Generator().manual_seed(0)
    found = {}
    for count in (50, 200):
        for matcher in (CosineMatcher(), EuclideanMatcher(), MapMatcher()):
            shape = (6, 3, 2) if isinstance(matcher, MapMatcher) else (6,)
            feats = torch.randn(count, 1, *shape, generator=generator)
            found[f'{type(matcher).__name__} {count}'] = nearest_classes(feats, matcher, 5)[0].tolist()
    return found


def everything(folder: str) -> dict:
    """Runs all of it on the ranks there are."""
    return dict(trained(folder), scored=all_gather_object(scored()))


if __name__ == '__main__':
    torch.set_num_threads(1)
    outcome = everything(sys.argv[1])
    if is_main_process():
        tables = [np.load(f'{sys.argv[1]}/graphs/epoch_{epoch + 1}.npz') for epoch in range(EPOCHS)]
        outcome['saved'] = [{key: table[key].tolist() for key in table} for table in tables]
        torch.save(outcome, f'{sys.argv[1]}/outcome.pth')
    leave_distributed()
