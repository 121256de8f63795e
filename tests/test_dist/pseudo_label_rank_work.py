# Copyright (c) mmreid contributors. All rights reserved.
"""What every rank of test_pseudo_label_ranks.py does: ``torchrun pseudo_label_rank_work.py DATA FOLDER TASK ...``.

Also imported, to do it on one rank.
"""

import os
import sys
from pathlib import Path

import kill_hook  # noqa: F401  registers the hook
import torch
from mmengine.dist import all_gather_object, is_main_process
from tiny_config import tiny_config

from mmreid.engine import ReIDRunner
from mmreid.utils.dist import leave_distributed

CONFIGS = dict(
    usl='cluster-contrast/cluster-contrast_resnet50_1xb256-50e_market1501-256x128.py',
    uda='spcl/spcl-uda_resnet50_1xb128-50e_msmt2market-256x128.py',
    vi='adca/adca_resnet50_1xb384-50e_sysu-288x144.py',
)
EPOCHS, BATCHES = 3, 3


def train(data: Path, folder: Path, kind: str, plain: bool = True, like: int | None = None, **changes) -> ReIDRunner:
    """Trains a few steps with pseudo labels.

    Args:
        data (Path): A small data set in the layout of Market-1501, also taken for the source; in its folder ``sysu``
            one in the layout of SYSU-MM01, for ``'vi'``.
        folder (Path): Where checkpoints go.
        kind (str): ``'usl'``, ``'uda'`` or ``'vi'``.
        plain (bool): Take norms of single images and no augmentation, so that ranks compute what one would.
        like (int, optional): Ranks whose batches are drawn. Defaults to None: as many as there are.
        **changes: Sections to merge into the config.
    """
    ranks = int(os.environ.get('WORLD_SIZE', 1))
    cfg = tiny_config(CONFIGS[kind], data / 'sysu' if kind == 'vi' else data, folder)
    cfg.val_cfg = cfg.val_dataloader = cfg.val_evaluator = None
    cfg.train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=EPOCHS)
    cfg.default_hooks.checkpoint.update(interval=1, max_keep_ckpts=9)
    loader = cfg.train_dataloader
    parts = loader.batch_sampler.get('parts', [])
    for drawing in [loader.batch_sampler, *(part.batch_sampler for part in parts)]:
        if drawing.type == 'MultiGalleryBatchSampler':
            drawing.update(batches_per_epoch=BATCHES, num_instances=2)
    if (like or ranks) == 3:  # three ranks of two images
        for part in parts or [loader]:
            part.batch_size = 6
        loader.batch_size = 6 * max(len(parts), 1)
    for holder in (loader, *parts):
        holder.batch_size //= ranks
    datasets = loader.dataset.get('datasets', [loader.dataset])
    if kind == 'uda':
        datasets[0].type = 'Market1501'
    if plain:
        for dataset in datasets:
            last = dict(type='PackReIDInputs') if kind == 'vi' else dataset.pipeline[-1]
            dataset.pipeline = [dataset.pipeline[0], dataset.pipeline[1], last]
        if kind != 'uda':
            cfg.model.backbone.norm_cfg = dict(type='GN', num_groups=2)
            cfg.model.neck.norm_cfg = dict(type='LN')
        if kind == 'vi':
            cfg.model.arch = 'share'
        cfg.optim_wrapper = dict(type='OptimWrapper', optimizer=dict(type='SGD', lr=0.01))
    cfg.launcher = 'pytorch' if 'RANK' in os.environ else 'none'
    cfg.merge_from_dict(changes)
    runner = ReIDRunner.from_cfg(cfg)
    runner.train()
    return runner


def outcome(runner: ReIDRunner) -> dict:
    """Gives labels, memory and weights after a training, and whether all ranks have the same."""
    memory = runner.model.module.head.memory if runner.distributed else runner.model.head.memory
    mine = [memory.labels, memory.features, *(value.detach() for value in runner.model.parameters())]
    everyones = all_gather_object(mine)
    same = all(torch.equal(*pair) for others in everyones for pair in zip(mine, others, strict=True))
    state = {name.removeprefix('module.'): value for name, value in runner.model.state_dict().items()}
    return dict(same=same, state=state)


if __name__ == '__main__':
    torch.set_num_threads(1)
    data, folder, *tasks = map(Path, sys.argv[1:])
    for task in map(str, tasks):
        if task == 'nobody':
            torch.distributed.init_process_group('gloo')
            train(data, folder / task, 'usl', custom_hooks=[dict(
                type='PseudoLabelHook', clustering=dict(type='JaccardDBSCAN', min_samples=99)
            )])  # fmt: skip
        elif '-' in task:
            kind, run = task.split('-')
            changes = dict(resume=True) if run == 'resumed' else {}
            if run == 'killed':
                changes = dict(default_hooks=dict(kill=dict(type='KillHook', at_iter=2 * BATCHES + 2)))
            train(data, folder / ('whole' if run == 'whole' else 'parts'), kind, plain=False, **changes)
        else:
            found = outcome(train(data, folder / task, task))
            if is_main_process():
                torch.save(found, folder / f'{task}.pth')
    leave_distributed()
