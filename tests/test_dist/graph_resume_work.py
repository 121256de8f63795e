# Copyright (c) mmreid contributors. All rights reserved.
"""Trains to an epoch, from the last checkpoint if there is one: ``torchrun graph_resume_work.py FOLDER EPOCHS``."""

import sys
from pathlib import Path

import torch
from tiny_graph import build_run

from mmreid.utils.dist import leave_distributed

if __name__ == '__main__':
    torch.set_num_threads(1)
    folder = Path(sys.argv[1])
    build_run(
        folder,
        dict(interval=3),
        train_cfg=dict(max_epochs=int(sys.argv[2])),
        resume=(folder / 'last_checkpoint').is_file(),
        launcher='pytorch',
    ).train()
    leave_distributed()
