# Copyright (c) mmreid contributors. All rights reserved.
"""Trains a model as a config says: ``python tools/train.py CONFIG``."""

import argparse
import os
import os.path as osp

if __name__ == '__main__':
    from early_stop import end_at_once

    end_at_once()

import torch
from mmengine.config import Config
from mmengine.dist import is_main_process
from mmengine.runner import Runner

import mmreid  # noqa: F401  checks the installation and lets checkpoints load
from mmreid.engine.optimizers.amp_optim_wrapper import check_dtype
from mmreid.engine.runners import describe_stop
from mmreid.registry import RUNNERS
from mmreid.utils.config import TRAINING, OptionsAction, load_config
from mmreid.utils.dist import leave_distributed
from mmreid.utils.one_line_errors import one_line_errors
from mmreid.utils.registry_hints import suggest_names
from mmreid.utils.stopping import Stopped, stop_signal
from mmreid.utils.work_dir import ensure_writable


def parse_args() -> argparse.Namespace:
    """Reads the command line, with the flags of MMPretrain."""
    parser = argparse.ArgumentParser(description='Train a re-ID model')
    parser.add_argument('config', help='config file')
    parser.add_argument('--work-dir', help='where logs and checkpoints go; default ./work_dirs/<config name>')
    parser.add_argument(
        '--resume',
        nargs='?',
        const='auto',
        help='continue a run exactly: from the given checkpoint, or from the newest complete one of the work dir',
    )
    parser.add_argument('--amp', action='store_true', help='train in mixed precision: bfloat16, channels last')
    parser.add_argument('--no-validate', action='store_true', help='do not validate during training')
    parser.add_argument('--auto-scale-lr', action='store_true', help='scale the learning rate by the batch size')
    parser.add_argument('--no-pin-memory', action='store_true', help='do not pin the memory of batches')
    parser.add_argument('--no-persistent-workers', action='store_true', help='start workers anew each epoch (default)')
    parser.add_argument('--cfg-options', nargs='+', action=OptionsAction, help='override config entries, key=value ...')
    parser.add_argument('--launcher', choices=['none', 'pytorch', 'slurm', 'mpi'], default='none')
    parser.add_argument('--local_rank', '--local-rank', type=int, default=0)
    args = parser.parse_args()
    os.environ.setdefault('LOCAL_RANK', str(args.local_rank))
    return args


def merge_args(cfg: Config, args: argparse.Namespace) -> Config:
    """Puts the flags into the config; ``--cfg-options`` take precedence, except over ``--resume``."""
    cfg.launcher = args.launcher
    if args.work_dir is not None:
        cfg.work_dir = args.work_dir
    elif cfg.get('work_dir') is None:
        cfg.work_dir = osp.join('./work_dirs', osp.splitext(osp.basename(args.config))[0])
    if args.amp:
        cfg.optim_wrapper.type = 'AmpOptimWrapper'
        cfg.setdefault('channels_last', cfg.model.get('backbone') is not None)  # faster with it, and only then
    if args.auto_scale_lr:
        if cfg.get('auto_scale_lr') is None:
            raise ValueError(
                f'--auto-scale-lr needs to know the batch size that the learning rate of {args.config} was chosen '
                'for; add auto_scale_lr = dict(base_batch_size=...) to it'
            )
        cfg.auto_scale_lr.enable = True
    for name in ('train_dataloader', 'val_dataloader', 'test_dataloader'):
        loaders = cfg.get(name) or []
        for loader in loaders if isinstance(loaders, list) else [loaders]:
            loader.setdefault('pin_memory', torch.cuda.is_available())
            if args.no_pin_memory:
                loader.pin_memory = False
            if args.no_persistent_workers:
                loader.persistent_workers = False
    cfg.merge_from_dict(args.cfg_options or {})
    if args.resume is not None:
        if args.resume == 'auto':
            cfg.load_from_if_new = cfg.get('load_from')  # what the run starts with if there is nothing to resume
        cfg.resume = True
        cfg.load_from = None if args.resume == 'auto' else args.resume
    if args.no_validate:
        cfg.val_cfg = cfg.val_dataloader = cfg.val_evaluator = None
    return cfg


def check_precision(cfg: Config) -> None:
    """Raises a ValueError, before anything is written, for a mixed precision that does not work here."""
    wrapper = cfg.optim_wrapper
    for part in (wrapper, *wrapper.values()):
        if isinstance(part, dict) and part.get('type') == 'AmpOptimWrapper' and part.get('dtype') is not None:
            check_dtype(part['dtype'])


def main() -> None:
    """Builds the runner and trains."""
    args = parse_args()
    cfg = merge_args(load_config(args.config, args.cfg_options, required=TRAINING), args)
    check_precision(cfg)
    ensure_writable(cfg.work_dir)
    runner: Runner | None = None
    try:
        with suggest_names():
            runner = RUNNERS.get(cfg.get('runner_type', 'ReIDRunner')).from_cfg(cfg)
            runner.train()
    except (Exception, KeyboardInterrupt) as error:
        if not stop_signal():
            raise
        raise Stopped(describe_stop(runner) if is_main_process() else '') from error
    leave_distributed()


if __name__ == '__main__':
    with one_line_errors():
        main()
