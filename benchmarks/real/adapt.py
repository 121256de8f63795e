# Copyright (c) mmreid contributors. All rights reserved.
"""Draws the built-in model to the people of vtest.avi without labels, and measures it beside the unchanged one.

``python benchmarks/real/adapt.py data/vtest data/procedural-few`` learns from the images of the development persons.
``--leave-out`` learns from four of them at a time and measures the fifth, for choosing settings; ``--persons test``
measures the test persons, which is done once, at the end.
"""

import argparse
import copy
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
import torch
from claims.results import settings_hash
from claims.runs import ROOT, build, ensure_environment, folder_name
from measure import images, intervals, row, score
from mmengine.config import Config, DictAction
from mmengine.logging import MMLogger

from mmreid.apis import ReIDInferencer
from mmreid.datasets import VTest
from mmreid.utils import register_all_modules
from mmreid.utils.config import load_config

START = 'mmreid::bot_mobilenet-v2-short_1xb64-2e_procedural-128x64'
METHODS = {
    'Cluster Contrast': 'cluster_contrast.py',
    'SpCL': 'spcl.py',
    'Cluster Contrast beside drawn people': 'cluster_contrast_uda.py',
}


def adaptation(
    method: str, folder: str, drawn: str, seed: int, without: int | None = None, options: dict | None = None
) -> Config:
    """Gives the config of a training.

    Args:
        method (str): Key of ``METHODS``.
        folder (str): What ``vtest2reid.py`` wrote.
        drawn (str): Drawn people, for a method that has them beside.
        seed (int): Seed.
        without (int, optional): Development person whose images are left out. Defaults to None.
        options (dict, optional): What else is changed, dotted keys to values. Defaults to None.

    Returns:
        Config: The config, without ``work_dir`` and without validation.
    """
    cfg = load_config(str(ROOT / 'benchmarks/real' / METHODS[method]), options)
    *source, target = cfg.train_dataloader.dataset.get('datasets', [cfg.train_dataloader.dataset])
    for dataset in source:
        dataset.data_root = drawn
    target.data_root = cfg.test_dataloader.dataset.data_root = folder
    if without is not None:
        pids = people(folder, split='train').pids
        target.indices = np.flatnonzero(pids != without).tolist()
    cfg.load_from = str(ROOT / cfg.load_from)
    cfg.randomness = dict(seed=seed)
    cfg.val_dataloader = cfg.val_evaluator = cfg.val_cfg = None
    cfg.train_cfg.pop('val_interval', None)
    cfg.default_hooks.checkpoint = dict(type='SafeCheckpointHook', interval=-1, save_last=True)
    return cfg


def adapted(cfg: Config, work_dir: Path, name: str) -> str:
    """Trains, unless it is done; returns the checkpoint."""
    run_dir = work_dir / f'{folder_name(name)}-{settings_hash(cfg.to_dict())}'
    checkpoint = run_dir / f'epoch_{cfg.train_cfg.max_epochs}.pth'
    if not checkpoint.is_file():
        build(copy.deepcopy(cfg), run_dir).train()
    return str(checkpoint)


def people(folder: str, **options) -> VTest:
    """Reads the list of crops."""
    dataset = VTest(folder, **options)
    dataset.full_init()
    return dataset


def without_other_half(dataset: VTest) -> VTest:
    """Takes the persons who are no queries out of the gallery."""
    kept = np.isin(dataset.pids, dataset.pids[dataset.splits == 'query'])
    return dataset.get_subset(np.flatnonzero(kept).tolist())


def measured(model: str, dataset: VTest) -> tuple[np.ndarray, np.ndarray]:
    """Scores a model, see :func:`score`."""
    return score(ReIDInferencer(model, device='cpu').extract(images(dataset, 'gallery'), progress=False), dataset)


def left_out(trained: Callable[[int], str], dataset: VTest, persons: np.ndarray) -> np.ndarray:
    """Scores the queries of each person by what was trained without that person; (2, S)."""
    values = np.empty((2, len(persons)))
    for person in np.unique(persons):
        values[:, persons == person] = measured(trained(int(person)), dataset)[0][:, persons == person]
    return values


def gains(name: str, values: np.ndarray, start: np.ndarray, persons: np.ndarray) -> str:
    """One line of the second table: what values (seeds, 2, S) are above those of the start (2, S), in percent.

    mAP and Rank-1 with intervals over persons; then the mAP of each seed, and of each person.
    """
    more = 100 * (values - start)
    seeds = ', '.join(f'{seed.mean():+.1f}' for seed in more[:, 0])
    each = ', '.join(f'{person}: {more[:, 0, persons == person].mean():+.1f}' for person in np.unique(persons))
    cells = [f'{mean:+.1f} [{low:+.1f}, {high:+.1f}]' for mean, low, high in intervals(more.mean(0), persons)]
    return f'| {name} | {" | ".join(cells)} | {seeds} | {each} |'


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('folder', help='what tools/dataset_converters/vtest2reid.py wrote')
    parser.add_argument('drawn', help='drawn people, in the layout of Market-1501')
    parser.add_argument('--persons', choices=['development', 'test'], default='development', help='who is measured')
    parser.add_argument('--leave-out', action='store_true', help='measure each development person by the other four')
    parser.add_argument('--own-gallery', action='store_true', help='leave the other half out of the gallery')
    parser.add_argument('--seeds', type=int, nargs='+', default=[0, 1, 2])
    parser.add_argument('--methods', nargs='+', choices=METHODS, default=list(METHODS))
    parser.add_argument('--work-dir', type=Path, default=ROOT / 'work_dirs/real_adapt', help='for the trainings')
    parser.add_argument('--cfg-options', nargs='+', action=DictAction, help='what is changed in all configs')
    args = parser.parse_args(argv)
    if args.leave_out and args.persons == 'test':
        parser.error('--leave-out is for choosing settings, and the test persons must not choose any')
    return args


def main(argv: Sequence[str] | None = None) -> None:
    """Prints the tables."""
    args = parse_args(argv)
    register_all_modules()
    MMLogger.get_instance('mmreid', log_level='WARNING')
    torch.set_num_threads(1)
    dataset = people(args.folder, persons=args.persons, split='test')
    dataset = without_other_half(dataset) if args.own_gallery else dataset
    start, persons = measured(START, dataset)
    first, second = [row('not adapted', start, persons)], []
    for method in args.methods:
        values = np.stack([_measured_seed(method, seed, args, dataset, persons) for seed in args.seeds])
        first.append(row(method, values.mean(0), persons))
        second.append(gains(method, values, start, persons))
    print(f'\nadapted: means of seeds {args.seeds}\n\n| | mAP | Rank-1 |\n| --- | --- | --- |', *first, sep='\n')
    print('\n| gain | mAP | Rank-1 | mAP by seed | mAP by person |\n|' + ' --- |' * 5, *second, sep='\n')


def _measured_seed(method: str, seed: int, args: argparse.Namespace, dataset: VTest, persons: np.ndarray) -> np.ndarray:
    def trained(without: int | None = None) -> str:
        cfg = adaptation(method, args.folder, args.drawn, seed, without, args.cfg_options)
        return adapted(cfg, args.work_dir, f'{method}-{seed}')

    return left_out(trained, dataset, persons) if args.leave_out else measured(trained(), dataset)[0]


if __name__ == '__main__':
    ensure_environment()
    main()
