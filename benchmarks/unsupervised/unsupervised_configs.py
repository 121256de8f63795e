# Copyright (c) mmreid contributors. All rights reserved.
"""Shipped configs that learn without labels of the target, made small: what is compared, and on what."""

from dataclasses import dataclass
from pathlib import Path

from mmengine.config import Config, ConfigDict

from mmreid.utils.config import load_config

ROOT = Path(__file__).resolve().parents[2]
QUICKSTART = 'baseline/quickstart_resnet18_1xb64-25e_procedural-64x32.py'
ECN = 'ecn/ecn_resnet18_1xb64-40e_procedural-64x32.py'
CONTRAST = 'cluster-contrast/cluster-contrast_resnet18_1xb64-20e_procedural-64x32.py'
CONTRAST_UDA = 'cluster-contrast/cluster-contrast-uda_resnet50_1xb256-50e_msmt2market-256x128.py'
SPCL = 'spcl/spcl_resnet18_1xb64-20e_procedural-64x32.py'
SPCL_UDA = 'spcl/spcl-uda_resnet50_1xb128-50e_msmt2market-256x128.py'

# What makes people hard to learn within minutes is taken back.
EASY = dict(cluster_fraction=0.0, noise_strength=0.5, blur_strength=0.5, pose_variation=0.5, crop_jitter=0.5)
WORLD = dict(size=(64, 32), cameras=3, **EASY)
SOURCE = dict(domain='default')
TARGET = dict(domain='other', cast_strength=0.5)
SOURCE_PLAN = dict(train_ids=100, test_ids=1, images_per_camera=2)
TARGET_PLAN = dict(train_ids=60, test_ids=60, images_per_camera=3)
WIDTH = 16  # of the first stage, a quarter of the usual
BATCH = 64  # images of each domain
EPOCHS, EPOCH = 20, 9  # steps of an epoch: so many batches show each source image once


@dataclass(frozen=True)
class Row:
    """A training.

    Attributes:
        name (str): Name in the tables.
        config (str): Shipped config.
        domain (str): What it learns from: ``'source'``, ``'target'`` or ``'both'``.
        clusters (str): For pseudo labels: shipped config whose clusters are taken.
    """

    name: str
    config: str
    domain: str = 'both'
    clusters: str = ''


SOURCE_ONLY = Row('source only', QUICKSTART, 'source')
ROWS = [
    SOURCE_ONLY,
    Row('ECN, color statistics', ECN),
    Row('Cluster Contrast, no source', CONTRAST, 'target', CONTRAST),
    Row('SpCL, no source', SPCL, 'target', SPCL),
    Row('Cluster Contrast, with source', CONTRAST_UDA, 'both', CONTRAST),
    Row('SpCL, with source', SPCL_UDA, 'both', SPCL),
    Row('supervised on the target', QUICKSTART, 'target'),
]
TABLES = dict(unsupervised=ROWS)


def small_config(row: Row, roots: dict[str, Path], weights: Path | None, seed: int) -> Config:
    """Reads a shipped config and gives it the network, the images, the steps and the optimizer of all rows.

    Args:
        row (Row): What to train.
        roots (dict[str, Path]): ``source`` and ``target`` people.
        weights (Path, optional): The warm start. None leaves the network random.
        seed (int): Seed of the run.

    Returns:
        Config: The config, without ``work_dir``.
    """
    cfg, shared = _load(row.config), _load(CONTRAST)
    _shrink_model(cfg.model, weights)
    if row.config == ECN:
        _take_color_statistics(cfg.train_dataloader)
    elif row.domain == 'both':
        cfg.train_dataloader = _two_domains()
    elif not row.clusters:
        cfg.train_dataloader.sampler.batches_per_epoch = EPOCH
    if row.clusters:
        cfg.custom_hooks = _load(row.clusters).custom_hooks
    for section in ('test_dataloader', 'test_evaluator', 'test_cfg', 'optim_wrapper', 'param_scheduler'):
        cfg[section] = shared[section]
    cfg.val_dataloader = cfg.val_evaluator = cfg.val_cfg = None
    data = cfg.train_dataloader.dataset
    if row.domain == 'both':
        for dataset, domain in zip(data.datasets, ('source', 'target'), strict=True):
            dataset.data_root = str(roots[domain])
    else:
        data.data_root = str(roots[row.domain])
    cfg.test_dataloader.dataset.data_root = str(roots['target'])
    cfg.train_dataloader.num_workers = cfg.test_dataloader.num_workers = 0
    cfg.train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=EPOCHS)
    cfg.default_hooks.checkpoint = dict(type='SafeCheckpointHook', interval=-1, save_last=False)
    cfg.randomness = dict(seed=seed)
    return cfg


def _load(name: str) -> Config:
    return load_config(str(ROOT / 'configs' / name))


def _shrink_model(model: dict, weights: Path | None) -> None:
    start = dict(type='Pretrained', checkpoint=str(weights), prefix='backbone') if weights else None
    model.backbone.update(depth=18, base_channels=WIDTH, init_cfg=start)
    model.neck.update(in_channels=8 * WIDTH, pool=dict(type='GeneralizedMeanPooling'))
    for norm in (model.backbone.get('norm_cfg'), model.neck.get('norm_cfg')):
        if norm and 'ghost_size' in norm:  # statistics of the whole batch of a domain, as with plain norms
            norm.ghost_size = BATCH
    if model.neck.type == 'BNNeck':  # the embedding of ECN is larger
        model.head.in_channels = 8 * WIDTH


def _take_color_statistics(loader: dict) -> None:
    """Takes batches of the size of the other rows, and color statistics instead of images that the world draws."""
    loader.batch_size = 2 * BATCH
    for part in loader.batch_sampler.parts:
        part.batch_size = BATCH
    loader.dataset.datasets[1].pipeline[0] = ConfigDict(type='LoadColorStyleImage')


def _two_domains() -> dict:
    """Gives batches of two domains: images as in the quickstart, 4 of each source identity and of each cluster."""
    loader = _load(QUICKSTART).train_dataloader
    packed = dict(type='PackReIDInputs', algorithm_keys=('slot',))
    target = dict(loader.dataset.to_dict(), name='target')
    target['pipeline'] = [*target['pipeline'][:-1], packed]
    drawn = dict(type='MultiGalleryBatchSampler', num_instances=4, batches_per_epoch=EPOCH)
    parts = [dict(domain=domain, batch_size=BATCH, batch_sampler=drawn) for domain in (0, 1)]
    loader.batch_size = 2 * BATCH
    loader.sampler = dict(type='DefaultSampler', shuffle=True)
    loader.batch_sampler = dict(type='MultiDomainBatchSampler', parts=parts)
    loader.dataset = dict(type='SourceTargetDataset', datasets=[dict(loader.dataset.to_dict(), name='source'), target])
    return loader
