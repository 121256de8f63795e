# Copyright (c) mmreid contributors. All rights reserved.
"""Runs tools in processes of their own."""

import copy
import os
import subprocess
import sys
from pathlib import Path

from tiny_config import ROOT, tiny_config

# A small vision transformer, for its dropout; three epochs of six batches with random augmentation in two workers.
DROPOUT = dict(
    backbone=dict(
        _delete_=True,
        type='VisionTransformer',
        arch=dict(embed_dims=16, num_layers=1, num_heads=2, feedforward_channels=32),
        img_size=(64, 32),
        patch_size=16,
        drop_rate=0.2,
        out_type='cls_token',
    ),
    neck=dict(in_channels=16),
    head=dict(in_channels=16),
)


def write_config(path: Path, data_root: Path, work_dir: Path, **changes) -> Path:
    """Writes a shrunk baseline config for a process of its own.

    Args:
        path (Path): The file to write.
        data_root (Path): A tiny data set in Market-1501 layout.
        work_dir (Path): Where results go.
        **changes: Sections to merge into it.

    Returns:
        Path: The file.
    """
    cfg = tiny_config('baseline/bot_resnet50_1xb64-120e_market1501-256x128.py', data_root, work_dir)
    cfg.pop('experiment_name')
    cfg.merge_from_dict(
        dict(
            train_dataloader=dict(num_workers=2, sampler=dict(batches_per_epoch=6)),
            train_cfg=dict(max_epochs=3, val_interval=3),
            default_hooks=dict(checkpoint=dict(interval=1, max_keep_ckpts=5), logger=dict(interval=1)),
            auto_scale_lr=dict(base_batch_size=8),
        )
    )
    cfg.merge_from_dict(copy.deepcopy(changes))  # merging takes _delete_ out of what it is given
    cfg.dump(path)
    return path


def run(*command: str | Path, check: bool = True, **env: str) -> subprocess.CompletedProcess:
    """Runs a tool with this Python.

    Args:
        *command (str | Path): ``tools/x.py`` or ``tools/x.sh`` and its arguments.
        check (bool): Fail the test if the tool fails. Defaults to True.
        **env (str): Further environment variables.

    Returns:
        subprocess.CompletedProcess: With its output as text, stderr within stdout.
    """
    first = ['bash'] if str(command[0]).endswith('.sh') else [sys.executable]
    path = os.pathsep.join([str(ROOT), str(ROOT / 'tests')])
    done = subprocess.run(
        [*first, *map(str, command)],
        cwd=ROOT,
        env={**os.environ, 'PYTHONPATH': path, 'PYTHON': sys.executable, 'OMP_NUM_THREADS': '1', **env},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        stdin=subprocess.DEVNULL,
        text=True,
        timeout=240,
    )
    assert not check or done.returncode == 0, done.stdout[-4000:]
    return done


def last_line(done: subprocess.CompletedProcess) -> str:
    """Gives the last line of a tool's output: the sentence of an error."""
    return done.stdout.strip().splitlines()[-1]
