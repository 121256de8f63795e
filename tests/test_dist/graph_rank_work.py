# Copyright (c) mmreid contributors. All rights reserved.
"""What every rank of test_graph_ranks.py does: ``torchrun graph_rank_work.py FOLDER TASK ...``, also on one rank."""

import os
import sys
from pathlib import Path

import kill_hook  # noqa: F401  registers the hook
import numpy as np
import torch
from mmengine.dist import all_gather_object, is_main_process
from tiny_graph import MapMatcher, build_run, graph_config, hook_of, plain_dumps

from mmreid.engine import ReIDRunner
from mmreid.engine.features.class_graph import nearest_classes
from mmreid.models import CosineMatcher, EuclideanMatcher
from mmreid.utils.dist import leave_distributed

EPOCHS = 3


def train_until(folder: Path, resume: bool = False, killed_at: int | None = None) -> None:
    """Trains four epochs of five iterations with a graph for three of them; weights change.

    Args:
        folder (Path): Where checkpoints go.
        resume (bool): Go on from the last one. Defaults to False.
        killed_at (int, optional): The iteration at which all ranks kill themselves. Defaults to None.
    """
    cfg = graph_config(folder, dict(interval=3), train_cfg=dict(max_epochs=4), resume=resume, launcher='pytorch')
    if killed_at:
        cfg.custom_hooks.append(dict(type='KillHook', at_iter=killed_at))
    ReIDRunner.from_cfg(cfg).train()


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
    """Finds neighbors with each matcher, also of fewer blocks than ranks."""
    generator = torch.Generator().manual_seed(0)
    found = {}
    for count in (50, 130, 200):
        for matcher in (CosineMatcher(), EuclideanMatcher(), MapMatcher()):
            shape = (6, 3, 2) if isinstance(matcher, MapMatcher) else (6,)
            feats = torch.randn(count, 1, *shape, generator=generator)
            found[f'{type(matcher).__name__} {count}'] = nearest_classes(feats, matcher, 5)[0].tolist()
    return found


def everything(folder: str) -> dict:
    """Builds graphs on the ranks there are; the first one keeps what all of them got."""
    with plain_dumps():
        outcome = dict(trained(folder), scored=all_gather_object(scored()))
    if is_main_process():
        tables = [np.load(f'{folder}/graphs/epoch_{epoch + 1}.npz') for epoch in range(EPOCHS)]
        outcome['saved'] = [{key: table[key].tolist() for key in table} for table in tables]
        torch.save(outcome, f'{folder}/outcome.pth')
    return outcome


if __name__ == '__main__':
    torch.set_num_threads(1)
    folder = Path(sys.argv[1])
    tasks = dict(
        killed=lambda: train_until(folder / 'parts', killed_at=12),
        resumed=lambda: train_until(folder / 'parts', resume=True),
        whole=lambda: train_until(folder / 'whole'),
        everything=lambda: everything(str(folder)),
    )
    with plain_dumps():
        for task in sys.argv[2:]:
            tasks[task]()
    leave_distributed()
