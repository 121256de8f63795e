# Copyright (c) mmreid contributors. All rights reserved.
"""Small trainings of the camera-style network."""

import copy
from pathlib import Path

from tiny_config import tiny_config

NAME = 'camstyle/stargan_1xb16-220e_market1501-256x128.py'


def write_camstyle(path: Path, data_root: Path, work_dir: Path, **changes) -> Path:
    """Writes a shrunk config: three epochs of four iterations, random crops and flips, decay over the last half.

    Args:
        path (Path): The file to write.
        data_root (Path): A tiny data set in Market-1501 layout.
        work_dir (Path): Where results go.
        **changes: Sections to merge into it.

    Returns:
        Path: The file.
    """
    cfg = tiny_config(NAME, data_root, work_dir)
    cfg.pop('experiment_name')
    cfg.merge_from_dict(
        dict(
            model=dict(n_critic=3),
            train_dataloader=dict(batch_size=4, batch_sampler=dict(batches_per_epoch=4)),
            train_cfg=dict(max_epochs=3),
            default_hooks=dict(checkpoint=dict(interval=1, max_keep_ckpts=5), logger=dict(interval=1)),
            param_scheduler=[dict(cfg.param_scheduler[0], begin=6, end=12)],
        )
    )
    cfg.train_dataloader.dataset.pipeline[1].scale = (36, 72)  # to crop from, as at full size
    cfg.merge_from_dict(copy.deepcopy(changes))
    cfg.dump(path)
    return path
