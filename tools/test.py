# Copyright (c) mmreid contributors. All rights reserved.
"""Tests a checkpoint: ``python tools/test.py CONFIG CHECKPOINT``; or features: ``... CONFIG --features FILE``."""

import argparse
import os

# Set before torch is loaded: its idle threads would wait actively, on the cores that the ranks need.
os.environ.setdefault('OMP_WAIT_POLICY', 'PASSIVE')

if __name__ == '__main__':
    from early_stop import end_at_once

    end_at_once()

import os.path as osp
import re
import sys
from collections.abc import Sequence
from typing import Any

import torch
from mmengine.config import Config
from mmengine.dist import master_only
from mmengine.fileio import dump
from mmengine.logging import print_log
from mmengine.runner import Runner

import mmreid  # noqa: F401  checks the installation and lets checkpoints load
from mmreid.engine.runners import evaluate_features, save_features
from mmreid.evaluation import FeatureMetric
from mmreid.registry import METRICS, RUNNERS
from mmreid.utils.atomic_io import atomic_write
from mmreid.utils.config import TESTING, OptionsAction, check_option_keys, load_config
from mmreid.utils.dist import leave_distributed
from mmreid.utils.one_line_errors import one_line_errors
from mmreid.utils.registry_hints import suggest_names
from mmreid.utils.work_dir import ensure_writable

ONLY_WITH_MODEL = ('amp', 'tta', 'show', 'show_dir', 'save_features', 'out_item')
QUERY_EXPANSION = dict(type='QueryExpansion')
RERANKING = dict(type='KReciprocalRerank')
TLIFT = dict(type='TLift')
STEP_OPTION = re.compile(r'test_evaluator\.(\d+\.)?post\.\d+\.')

# Testing needs neither the training data nor the validation set.
UNUSED = ('train_dataloader', 'train_cfg', 'optim_wrapper', 'param_scheduler',
          'val_dataloader', 'val_cfg', 'val_evaluator')  # fmt: skip


def parse_args() -> argparse.Namespace:
    """Reads the command line: the flags of MMPretrain, except those for single images, and those of re-ID."""
    parser = argparse.ArgumentParser(description='Test a re-ID model')
    parser.add_argument('config', help='config file')
    parser.add_argument('checkpoint', nargs='?', help="checkpoint file, or 'none' to test the initial weights")
    parser.add_argument('--work-dir', help='where logs go; default ./work_dirs/<config name>')
    parser.add_argument('--out', help='file (.json, .yml or .pkl) for the results, including those of each trial')
    parser.add_argument(
        '--out-item',
        choices=['metrics', 'pred'],
        help='what to write into --out: the metrics (default), or every image with its feature (.pkl)',
    )
    parser.add_argument('--cfg-options', nargs='+', action=OptionsAction, help='override config entries, key=value ...')
    parser.add_argument('--amp', action='store_true', help='extract features with automatic mixed precision')
    parser.add_argument('--show-dir', help='folder for images of ranked lists')
    parser.add_argument('--show', action='store_true', help='show the ranked lists in a window')
    parser.add_argument('--interval', type=int, default=1, help='draw every n-th query')
    parser.add_argument('--wait-time', type=float, default=2, help='seconds that --show leaves a ranked list on')
    parser.add_argument(
        '--tta', nargs='?', const='flip', choices=['flip'], help='flip: add the feature of the mirrored image'
    )
    parser.add_argument(
        '--rerank',
        action='store_true',
        help='report values after k-reciprocal re-ranking as well; its options are e.g. test_evaluator.post.0.k1=5',
    )
    parser.add_argument('--qe', action='store_true', help='report values after query expansion as well')
    parser.add_argument('--tlift', action='store_true', help='report values after temporal lifting as well')
    parser.add_argument('--save-features', metavar='FILE', help='write features and labels of all test sets (.pth)')
    parser.add_argument(
        '--features', metavar='FILE', help='evaluate what --save-features wrote, without a network or images'
    )
    parser.add_argument('--report', metavar='DIR', help='write a report into this folder, a web page without a network')
    parser.add_argument(
        '--allow-trial-mismatch', action='store_true', help='test a model on another trial of RegDB than its own'
    )
    parser.add_argument('--no-pin-memory', action='store_true', help='do not pin the memory of batches')
    parser.add_argument('--launcher', choices=['none', 'pytorch', 'slurm', 'mpi'], default='none')
    parser.add_argument('--local_rank', '--local-rank', type=int, default=0)
    args = parser.parse_args(explicit_tta(sys.argv[1:]))
    if args.out_item and not args.out:
        parser.error('--out-item says what to write into a file: give --out FILE too')
    if (args.checkpoint is None) == (args.features is None):
        parser.error("give a CHECKPOINT to test ('none' for the initial weights), or --features FILE, and not both")
    useless = [name for name in ONLY_WITH_MODEL if args.features and vars(args)[name]]
    if useless or (args.features and args.launcher != 'none'):
        parser.error(f'--{(useless or ["launcher"])[0].replace("_", "-")} needs a model, but --features has none')
    os.environ.setdefault('LOCAL_RANK', str(args.local_rank))
    return args


def explicit_tta(words: Sequence[str]) -> list[str]:
    """Writes a plain ``--tta`` as ``--tta flip``, so that it does not take the next word as its value."""
    plain = [word == '--tta' and next_word != 'flip' for word, next_word in zip(words, [*words[1:], ''], strict=True)]
    return [part for word, alone in zip(words, plain, strict=True) for part in ([word, 'flip'] if alone else [word])]


def early_options(args: argparse.Namespace) -> dict[str, Any]:
    """Returns the ``--cfg-options`` that can be applied before the flags; those of steps that flags add cannot."""
    adds_steps = args.qe or args.rerank or args.tlift
    return {
        key: value for key, value in (args.cfg_options or {}).items() if not (adds_steps and STEP_OPTION.match(key))
    }


def add_post(evaluators: Any, steps: Sequence[dict]) -> None:
    """Adds configs of steps to ``post`` of all re-ID metrics of ``test_evaluator``, in place."""
    if isinstance(evaluators, (list, tuple)):
        for evaluator in evaluators:
            add_post(evaluator, steps)
    elif isinstance(METRICS.get(evaluators.type), type) and issubclass(METRICS.get(evaluators.type), FeatureMetric):
        evaluators.post = [*evaluators.get('post', ()), *map(dict, steps)]


def merge_args(cfg: Config, args: argparse.Namespace) -> Config:
    """Puts the flags into the config and removes its training part; ``--cfg-options`` take precedence."""
    if args.out and not args.out.endswith(('.json', '.yml', '.yaml', '.pkl')):
        raise ValueError(f'--out {args.out}: results are written as .json, .yml or .pkl; give a name with that suffix')
    steps = [QUERY_EXPANSION] * args.qe + [RERANKING] * args.rerank + [TLIFT] * args.tlift
    if steps:
        add_post(cfg.test_evaluator, steps)
        check_option_keys(cfg, {key: args.cfg_options[key] for key in args.cfg_options or () if STEP_OPTION.match(key)})
    if args.features:
        cfg.merge_from_dict(args.cfg_options or {})
        return cfg
    cfg.launcher = args.launcher
    if args.work_dir is not None:
        cfg.work_dir = args.work_dir
    elif cfg.get('work_dir') is None:
        cfg.work_dir = osp.join('./work_dirs', osp.splitext(osp.basename(args.config))[0])
    for name in UNUSED:
        cfg[name] = None
    cfg.allow_trial_mismatch = args.allow_trial_mismatch
    if args.amp:
        cfg.test_cfg.fp16 = True
    if args.tta:
        cfg.model.flip_test = True
    if args.show or args.show_dir is not None:
        cfg.custom_hooks = [
            *(cfg.get('custom_hooks') or []),
            dict(
                type='RankListHook',
                out_dir=args.show_dir,
                interval=args.interval,
                show=args.show,
                wait_time=args.wait_time,
            ),
        ]
    loaders = cfg.test_dataloader if isinstance(cfg.test_dataloader, list) else [cfg.test_dataloader]
    for loader in loaders:
        loader.pin_memory = torch.cuda.is_available() and not args.no_pin_memory
    if args.out and args.out_item == 'pred':
        if not args.out.endswith('.pkl'):
            raise ValueError(f'--out {args.out}: features are written as .pkl; give a name with that suffix')
        evaluators = cfg.test_evaluator if isinstance(cfg.test_evaluator, list) else [cfg.test_evaluator]
        if len(loaders) > 1:
            raise ValueError('--out-item pred writes one test set, but the config has several; test them one by one')
        cfg.test_evaluator = [*evaluators, dict(type='DumpResults', out_file_path=args.out)]
    # The same options may be given to training and testing; those of the removed sections have no effect here.
    options = {key: value for key, value in (args.cfg_options or {}).items() if key.split('.')[0] not in UNUSED}
    cfg.merge_from_dict(options)
    # After the options, whose load_from and resume are for training.
    cfg.resume, cfg.load_from = False, None if args.checkpoint == 'none' else args.checkpoint
    return cfg


@master_only
def report(args: argparse.Namespace, cfg: Config, runner: Runner | None, metrics: dict[str, Any]) -> None:
    """Writes a report of the test, or of the features file, and logs what is not in it."""
    # Here, because matplotlib loads slowly.
    from mmreid.apis.report import read_sources, source_of_test, write_report

    sources = [source_of_test(runner, metrics)] if runner else read_sources([args.features], cfg.test_evaluator)
    page, faults = write_report(args.report, sources)
    for sentence in faults:
        print_log(f'not in the report: {sentence}', 'current')
    print_log(f'report: {page}', 'current')


@master_only
def write_metrics(metrics: dict[str, Any], path: str) -> None:
    """Writes the metrics, and those of each trial, to a .json, .yml or .pkl file."""
    atomic_write(path, dump(metrics, file_format=osp.splitext(path)[1][1:]))


def main() -> None:
    """Tests a model, or evaluates saved features."""
    args = parse_args()
    required = ('test_evaluator',) if args.features else TESTING
    cfg = merge_args(load_config(args.config, early_options(args), required=required), args)
    for file in (args.out, args.save_features):
        if file:
            ensure_writable(osp.dirname(osp.abspath(file)))
    if args.report:
        # Here, because matplotlib loads slowly.
        from mmreid.apis.report import open_report_folder

        open_report_folder(args.report)
    with suggest_names():
        if args.features:
            metrics, details = evaluate_features(args.features, cfg.test_evaluator)
        else:
            ensure_writable(cfg.work_dir)
            runner: Runner = RUNNERS.get(cfg.get('runner_type', 'ReIDRunner')).from_cfg(cfg)
            metrics = runner.test()
            details = runner.test_loop.details
    if args.save_features:
        save_features(args.save_features, runner)
    if args.out and args.out_item != 'pred':
        write_metrics(metrics | details, args.out)
    if args.report:
        report(args, cfg, None if args.features else runner, metrics)
    leave_distributed()


if __name__ == '__main__':
    with one_line_errors():
        main()
