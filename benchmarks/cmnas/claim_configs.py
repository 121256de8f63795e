# Copyright (c) mmreid contributors. All rights reserved.
"""The shipped CM-NAS configs, made small: which architectures are compared, and on what."""

from pathlib import Path

import numpy as np
from claims.infrared_worlds import shorten, shrink, shrink_loader
from mmengine.config import Config
from mmengine.registry import DefaultScope

from mmreid.models.layers import branch_norms, resolve_arch
from mmreid.registry import MODELS
from mmreid.utils.arch_io import Architecture, save_arch
from mmreid.utils.config import load_config

ROOT = Path(__file__).resolve().parents[2]
CONFIGS = ROOT / 'configs/cmnas'
END = '_resnet50_1xb128-120e_sysu-256x128.py'
GRADIENT = 'cmnas-search-gradient_resnet50_1xb128-40e_sysu-256x128.py'
SEARCH = f'cmnas-search{END}'
SEARCHED = f'cmnas{END}'
# Row of the table -> shipped config that it trains.
MANUAL = {
    'all shared': f'cmnas-share{END}',
    'all split': f'cmnas-split{END}',
    'stem': f'cmnas-split-stem{END}',
    **{f'stage {stage}': f'cmnas-split-stage{stage}{END}' for stage in (1, 2, 3, 4)},
    **{f'stem to stage {stage}': f'cmnas-split-to-stage{stage}{END}' for stage in (1, 2, 3)},
}
# The search by short trainings, whose last rounds are as long as a training (20 epochs) here: shorter ones do not order
# architectures as that does. On real data, where a training is much longer, a search costs less in comparison.
ROUNDS = [
    dict(new=12, epochs=10, folds=1),
    dict(keep=5, epochs=20, folds=1),
    dict(keep=2, epochs=20, folds=2),
]
LONGER = [*ROUNDS[:2], dict(keep=3, epochs=20, folds=8)]  # more finalists, and four times as many trainings of each
SHORTER = [dict(new=16, epochs=5, folds=1), dict(keep=4, new=2, epochs=10, folds=2)]
MAX_TRAININGS = 18
# Row of the table -> its search, and what that changes in the shipped config of it. In the first search, the manual
# architectures are among the candidates of the first round; in the second, they are not tried; the third goes on from
# the first, and trains its finalists more often; the fourth came before all others, and is only for worlds 10 and 11.
# Rows of EARLIER are runs of older code, in which all shared was trained in the first round only.
SEARCHES = {
    'searched': (SEARCH, {}),
    'searched, no manual': (SEARCH, {}),
    'searched, longer': (SEARCH, {'train_cfg.rounds': LONGER, 'train_cfg.max_trainings': 44}),
    'searched, shorter': (SEARCH, {'train_cfg.rounds': SHORTER}),
    'gradient search': (GRADIENT, {}),
    'gradient search without classifier': (GRADIENT, {'model.head.arch_losses': ('triplet', 'correlation', 'mmd')}),
}
EARLIER = ('searched, first form', 'searched, first form, no manual')
GRADIENT_EPOCH = 5  # so that the weights take as many steps in a gradient search as in a training


def small_config(name: str, data_root: Path, weights: Path | None, seed: int) -> Config:
    """Reads a shipped config and makes it small: network, images, batches and epochs; all else is as shipped.

    Args:
        name (str): File in ``configs/cmnas``.
        data_root (Path): The procedural people.
        weights (Path, optional): The warm start. None leaves the backbone random.
        seed (int): Seed of the run.

    Returns:
        Config: The config, without ``work_dir``.
    """
    cfg = load_config(str(CONFIGS / name))
    shrink(cfg, data_root, weights, seed)
    if name == SEARCH:
        shrink_loader(cfg.val_dataloader, data_root)
        cfg.train_cfg.update(rounds=ROUNDS, max_trainings=MAX_TRAININGS)
    else:
        cfg.val_dataloader = cfg.val_evaluator = cfg.val_cfg = None
    if name == GRADIENT:
        cfg.train_dataloader.sampler.batches_per_epoch = GRADIENT_EPOCH
    else:
        shorten(cfg)
    return cfg


def norm_names() -> list[str]:
    """Lists the norms of the small network, in the order of construction."""
    backbone = small_config(MANUAL['all shared'], Path(), None, 0).model.backbone
    with DefaultScope.overwrite_default_scope('mmreid'):
        return list(branch_norms(MODELS.build(backbone)))


def manual_norms(row: str) -> dict[str, str]:
    """Gives the state of each norm in a row of the manual study."""
    return resolve_arch(load_config(str(CONFIGS / MANUAL[row])).model.get('arch', 'share'), norm_names())


def manual_archs() -> list[dict[str, str]]:
    """Lists the architectures of the manual study, without "all shared"."""
    return [manual_norms(row) for row in MANUAL if row != 'all shared']


def random_norms(norms: dict[str, str], seed: int, number: int) -> dict[str, str]:
    """Draws an architecture that splits as many norms as another one, but not the same ones.

    Args:
        norms (dict[str, str]): State of each norm of the other one.
        seed (int): Seed of the run.
        number (int): Which draw.

    Returns:
        dict[str, str]: State of each norm.

    Raises:
        ValueError: If the other one splits all norms or none, so that there is no second such architecture.
    """
    states = np.array(list(norms.values()))
    if len(set(norms.values())) == 1:
        raise ValueError(f'all norms are {states[0]}; there is no other architecture with as many split norms')
    rng = np.random.default_rng([seed, number])
    drawn = rng.permutation(states)
    while (drawn == states).all():
        drawn = rng.permutation(states)
    return dict(zip(norms, drawn.tolist(), strict=True))


def write_norms(path: Path, norms: dict[str, str]) -> Path:
    """Writes an architecture where ``model.arch`` of a config finds it."""
    save_arch(path, Architecture(norms))
    return path
