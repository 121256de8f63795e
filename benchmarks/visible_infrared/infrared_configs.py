# Copyright (c) mmreid contributors. All rights reserved.
"""Shipped visible-infrared configs, made small: which methods are compared, with and without channel augmentation."""

from dataclasses import dataclass
from pathlib import Path

from claims.infrared_worlds import shorten, shrink
from mmengine.config import Config

from mmreid.utils.config import load_config

ROOT = Path(__file__).resolve().parents[2]
SHARE = 'cmnas/cmnas-share_resnet50_1xb128-120e_sysu-256x128.py'
SHARE_CA = 'cmnas/cmnas-share-ca_resnet50_1xb128-120e_sysu-256x128.py'
# What the search of CM-NAS found in three of five earlier worlds, see benchmarks/cmnas.
TO_STAGE_3 = 'cmnas/cmnas-split-to-stage3_resnet50_1xb128-120e_sysu-256x128.py'
AGW = 'agw/agw_resnet18_1xb64-40e_procedural-64x32.py'
CAJ = 'agw/agw-caj_resnet18_1xb64-40e_procedural-64x32.py'


@dataclass(frozen=True)
class Row:
    """A training.

    Attributes:
        name (str): Name in the tables.
        model (str): Shipped config of network and losses.
        images (str): Shipped config of the transforms of training images. Everything else is that of ``SHARE``.
        plain (str): Row that it is compared with: the same without channel augmentation.
    """

    name: str
    model: str
    images: str = SHARE
    plain: str = ''


def pair(name: str, model: str) -> list[Row]:
    """Makes a row without and one with channel augmentation."""
    return [Row(name, model), Row(f'{name}, channels', model, SHARE_CA, plain=name)]


ALL_SHARED = 'all shared'
ROWS = [
    *pair(ALL_SHARED, SHARE),
    *pair('stem to stage 3', TO_STAGE_3),
    *pair('AGW', AGW),
    Row('CAJ', CAJ, CAJ, plain='AGW'),
]
TABLES = dict(channels=ROWS)


def small_config(row: Row, data_root: Path, weights: Path | None, seed: int) -> Config:
    """Puts network, losses and transforms into the config that all rows share, and makes it small.

    Args:
        row (Row): What to train.
        data_root (Path): The procedural people.
        weights (Path, optional): The warm start. None leaves the backbone random.
        seed (int): Seed of the run.

    Returns:
        Config: The config, without ``work_dir``.
    """
    cfg = _load(SHARE)
    cfg.model = _load(row.model).model
    cfg.train_dataloader.dataset.pipeline = _load(row.images).train_dataloader.dataset.pipeline
    shrink(cfg, data_root, weights, seed)
    cfg.val_dataloader = cfg.val_evaluator = cfg.val_cfg = None
    shorten(cfg)
    return cfg


def _load(name: str) -> Config:
    return load_config(str(ROOT / 'configs' / name))
