# Copyright (c) mmreid contributors. All rights reserved.
"""The quickstart's strong baseline on harder people: what is changed in it, one thing at a time."""

from dataclasses import dataclass, field
from pathlib import Path

from mmengine.config import Config

from mmreid.utils.config import load_config

ROOT = Path(__file__).resolve().parents[2]
QUICKSTART = 'baseline/quickstart_resnet18_1xb64-25e_procedural-64x32.py'

# Nine in ten people belong to a cluster of three who differ in one attribute.
WORLD = dict(size=(64, 32), cameras=3, cluster_fraction=0.9)
PLAN = dict(train_ids=200, test_ids=80, images_per_camera=2)
WIDTH = 16  # of a ResNet's first stage, a quarter of the usual
CHANNELS = 8 * WIDTH
LOSS_ITERATIONS = 135
WARM_UP = 20  # iterations in which the learning rate rises
SECONDS = 120  # of a processor, for the training of a backbone
TIMED, SETTLING = 24, 4  # iterations that are timed for that, and those of them that do not count
ADAM = dict(type='Adam', lr=3e-3, weight_decay=5e-4)
ADAMW = dict(type='AdamW', lr=1e-3, weight_decay=0.05)
CENTERS_RATE = 100 * 3.5e-4  # what the documentation of CenterLoss gives for Adam, whatever the network's rate


@dataclass(frozen=True)
class Row:
    """A training.

    Attributes:
        name (str): Name in the table.
        head (dict): Changes of the head.
        neck (dict): Changes of the neck.
        backbone (dict, optional): Another backbone, from scratch and for ``SECONDS``. None is the ResNet-18 from the
            warm start, for ``LOSS_ITERATIONS``.
        channels (int): Of the backbone.
        optimizer (dict): Config of the optimizer.
    """

    name: str
    head: dict = field(default_factory=dict)
    neck: dict = field(default_factory=dict)
    backbone: dict | None = None
    channels: int = CHANNELS
    optimizer: dict = field(default_factory=lambda: ADAM)


def metric(name: str, *losses: dict) -> Row:
    """Makes a row of other metric losses, by their defaults, which are the published values."""
    return Row(name, head=dict(loss_metric=list(losses) if len(losses) > 1 else losses[0]))


def margin(name: str, classifier: str) -> Row:
    """Makes a row of a classifier with a margin, which by its authors has plain cross entropy behind it."""
    return Row(name, head=dict(classifier=dict(type=classifier), loss_cls=dict(type='CrossEntropyLoss')))


HARD = dict(type='TripletLoss', margin=0.3)
BASELINE = Row('CE + hard triplet')
LOSSES = [
    Row('CE', head=dict(loss_metric=None)),
    BASELINE,
    metric('CE + soft-margin triplet', dict(type='TripletLoss', margin=None)),
    metric('CE + weighted triplet', dict(type='WeightedTripletLoss')),
    metric('CE + circle on pairs', dict(type='CircleLoss')),
    metric('CE + CosFace on pairs', dict(type='PairwiseCosFaceLoss')),
    metric('CE + hard triplet + center', HARD, dict(type='CenterLoss')),
    Row('CE, not smoothed, + hard triplet', head=dict(loss_cls=dict(type='CrossEntropyLoss'))),
    Row('focal + hard triplet', head=dict(loss_cls=dict(type='FocalLoss'))),
    margin('ArcFace + hard triplet', 'ArcFaceClassifier'),
    margin('CosFace + hard triplet', 'CosFaceClassifier'),
    margin('circle classifier + hard triplet', 'CircleClassifier'),
    Row('triplet behind the norm', head=dict(metric_feat='after')),
    Row('GeM', neck=dict(pool=dict(type='GeneralizedMeanPooling'))),
    Row(
        'four parts',
        head=dict(type='PartHead', in_channels=CHANNELS // 4, num_parts=4),
        neck=dict(type='PartNeck', out_channels=CHANNELS // 4, num_parts=4),
    ),
]

RESNET = dict(strides=(1, 2, 2, 1), out_indices=(3,))
IMAGE = dict(img_size=WORLD['size'])
# Patches half as large as usual where that ends with 4 x 2 places as in the ResNets, whose last stage has stride 1.
CONVNEXT = dict(type='ConvNeXt', arch=dict(depths=[2, 2, 4, 2], channels=[16, 32, 64, 128]), stem_patch_size=2)
SWIN = dict(
    type='SwinTransformer',
    arch=dict(embed_dims=16, depths=[2, 2, 4, 2], num_heads=[1, 2, 4, 8]),
    **dict(IMAGE, patch_size=2, window_size=4, pad_small_map=True, drop_path_rate=0.0),
)
VIT = dict(
    type='VisionTransformer',
    arch=dict(embed_dims=96, num_layers=6, num_heads=3, feedforward_channels=384),
    **dict(IMAGE, patch_size=8),
)
REGNET = dict(type='RegNet', arch=dict(w0=24, wa=24, wm=2.0, group_w=8, depth=10, bot_mul=1.0), strides=(2, 2, 2, 1))
RESNET18 = Row('ResNet-18', backbone=dict(type='ResNet', depth=18, base_channels=WIDTH, **RESNET))
BACKBONES = [
    RESNET18,
    Row('ResNet-18 IBN-a', backbone=dict(type='ResNetIBN', depth=18, ibn='a', base_channels=WIDTH, **RESNET)),
    Row(
        'ResNet-50 IBN-a',
        backbone=dict(type='ResNetIBN', depth=50, ibn='a', base_channels=WIDTH // 2, **RESNET),
        channels=16 * WIDTH,
    ),
    Row(
        'ResNet-18, non-local',
        backbone=dict(type='ResNetNL', depth=18, non_local=(0, 2, 2, 0), base_channels=WIDTH, **RESNET),
    ),
    Row('OSNet x0.25', backbone=dict(type='OSNet', arch='x0_25')),
    Row('OSNet-AIN x0.25', backbone=dict(type='OSNet', arch='x0_25', variant='ain')),
    Row('RegNetX', backbone=REGNET, channels=192),
    Row('MobileNetV3 small x0.5', backbone=dict(type='MobileNetV3', arch='small_050'), channels=288),
    Row('ConvNeXt', backbone=CONVNEXT, optimizer=ADAMW),
    Row('Swin', backbone=SWIN, optimizer=ADAMW),
    Row('ViT', backbone=VIT, channels=96, optimizer=ADAMW),
]
TABLES = dict(losses=LOSSES, backbones=BACKBONES)


def small_config(row: Row, root: Path, weights: Path | None, seed: int, iterations: int = LOSS_ITERATIONS) -> Config:
    """Reads the config of the quickstart and changes what the row names.

    Args:
        row (Row): What to train.
        root (Path): The people.
        weights (Path, optional): The warm start. None, or a row with a backbone, leaves the backbone random.
        seed (int): Seed of the run.
        iterations (int): Length of the training. Defaults to ``LOSS_ITERATIONS``.

    Returns:
        Config: The config, without ``work_dir``.
    """
    cfg = load_config(str(ROOT / 'configs' / QUICKSTART))
    cfg.model = _model(row, cfg.model.to_dict(), weights)
    for loader in (cfg.train_dataloader, cfg.test_dataloader):
        loader.num_workers = 0
        loader.dataset.data_root = str(root)
    cfg.val_dataloader = cfg.val_evaluator = cfg.val_cfg = None
    cfg.train_dataloader.sampler.batches_per_epoch = iterations
    cfg.train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=1)
    cfg.optim_wrapper.optimizer = dict(row.optimizer)
    factor = CENTERS_RATE / row.optimizer['lr']
    cfg.optim_wrapper.paramwise_cfg = dict(custom_keys={'centers': dict(lr_mult=factor, decay_mult=0.0)})
    cfg.param_scheduler = [
        dict(type='LinearLR', start_factor=0.1, begin=0, end=WARM_UP, by_epoch=False),
        dict(type='CosineAnnealingLR', begin=WARM_UP, end=iterations, by_epoch=False),
    ]
    cfg.default_hooks.checkpoint = dict(type='SafeCheckpointHook', interval=-1, save_last=False)
    cfg.randomness = dict(seed=seed)
    return cfg


def _model(row: Row, model: dict, weights: Path | None) -> dict:
    backbone = model['backbone'] if row.backbone is None else dict(row.backbone)
    if weights and row.backbone is None:
        backbone['init_cfg'] = dict(type='Pretrained', checkpoint=str(weights), prefix='backbone')
    neck = model['neck'] | dict(in_channels=row.channels) | row.neck
    head = model['head'] | dict(in_channels=row.channels) | row.head
    return model | dict(backbone=backbone, neck=neck, head=head)
