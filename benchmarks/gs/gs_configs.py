# Copyright (c) mmreid contributors. All rights reserved.
"""The shipped graph sampling configs, made small: what is compared, and on what."""

from dataclasses import dataclass
from pathlib import Path

from mmengine.config import Config

from mmreid.utils.config import load_config

ROOT = Path(__file__).resolve().parents[2]
BASELINE = 'gs/gs-baseline_resnet50_1xb64-32e_market1501-256x128.py'
QACONV = 'gs/qaconv-gs_resnet50-ibnb_1xb64-60e_market1501-384x128.py'
MEMORY = 'gs/qaconv-memory_resnet50-ibnb_1xb8-15e_market1501-384x128.py'
QUICKSTART = 'baseline/quickstart_resnet18_1xb64-25e_procedural-64x32.py'

# Nine in ten people belong to a cluster of three who differ in one attribute.
WORLD = dict(cameras=3, cluster_fraction=0.9)
DOMAINS = ('default', 'beach', 'other')  # the first is trained on; all are tested
PLAN = dict(train_ids=400, test_ids=80, images_per_camera=2)
WIDTH = 16
STRIDE = 16  # of the maps of QAConv: behind the third stage, as shipped
RATE = 3e-3  # Adam, as in the warm start
EPOCH, EPOCHS = 60, 4  # iterations of an epoch; a graph is built before each epoch
PK_EPOCHS = 1  # the first ones, in all rows
WARM_UP = 50  # iterations in which the learning rate rises
SHORT_EPOCH, SHORT_EPOCHS = 30, 8  # where the way to the end is looked at
# Of the rows as published: until the loss has left the margin, both samplers show random identities.
PUBLISHED_EPOCHS, PUBLISHED_PK_EPOCHS = 8, 4

LOSSES = {
    'all triplets': dict(type='AllTripletsLoss', margin=None),
    'batch-hard': dict(type='TripletLoss', margin=None),
    'score triplet': dict(type='ScoreTripletLoss', margin=16.0),
    'all score triplets': dict(type='ScoreTripletLoss', margin=16.0, mining='all'),
    'pairwise': dict(type='PairwiseMatchingLoss'),
}


@dataclass(frozen=True)
class Row:
    """A training.

    Attributes:
        name (str): Name in the table.
        graph (bool): Graph sampling after the first epochs; otherwise random identities throughout.
        loss (str): Key of ``LOSSES``, or ``'class memory'``.
        qaconv (bool): Match maps by QAConv instead of vectors by their cosine.
        images (int): K, images of an identity in a batch; 1 takes random images, whoever they show.
        batch (int): Images of a batch.
        warm_start (bool): Start from the warm start instead of from scratch.
        pk_epochs (int): First epochs of random identities.
        as_long_as (str): Row whose time this one gets, instead of its iterations.
        steady (bool): Keep the learning rate, and test after every epoch.
        rate (float): Learning rate.
        published (bool): Optimizer and norms of the shipped QAConv config: SGD, gradients of network and matcher
            clipped apart, norms of the backbone in eval mode; larger images, and twice as many epochs.
    """

    name: str
    graph: bool = True
    loss: str = 'all triplets'
    qaconv: bool = False
    images: int = 4
    batch: int = 64
    warm_start: bool = True
    pk_epochs: int = PK_EPOCHS
    as_long_as: str = ''
    steady: bool = False
    rate: float = RATE
    published: bool = False

    @property
    def size(self) -> tuple[int, int]:
        """tuple[int, int]: Height and width of the images."""
        return (128, 64) if self.published else (64, 32)

    @property
    def maps(self) -> tuple[int, int]:
        """tuple[int, int]: Height and width of the maps of QAConv."""
        return self.size[0] // STRIDE, self.size[1] // STRIDE

    @property
    def start(self) -> str:
        """str: What it starts from, as a word."""
        return 'warm' if self.warm_start else 'scratch'


PK = Row('PK', graph=False)
GS = Row('GS')
PK_QACONV = Row('PK, QAConv', qaconv=True, loss='score triplet', images=2, graph=False)
SAMPLING = [PK, GS, Row('PK, as long as GS', graph=False, as_long_as='GS')]
MATCHERS = [
    GS,
    Row('GS, K = 2', images=2),
    Row('GS, batch-hard', loss='batch-hard'),
    Row('GS, scratch', warm_start=False),
    Row('GS, batch-hard, scratch', loss='batch-hard', warm_start=False),
    Row('PK, batch-hard, scratch', loss='batch-hard', graph=False, warm_start=False),
    Row('GS, QAConv', qaconv=True, loss='score triplet', images=2),
    Row('GS, QAConv, K = 4', qaconv=True, loss='score triplet'),
    PK_QACONV,
    Row('GS, QAConv, all triplets', qaconv=True, loss='all score triplets', images=2),
    Row('PK, QAConv, all triplets', qaconv=True, loss='all score triplets', images=2, graph=False),
    Row('GS, QAConv, pairwise', qaconv=True, loss='pairwise', images=2),
]
MEMORIES = [
    Row('GS, score triplet', qaconv=True, loss='score triplet', images=2, steady=True),
    Row('class memory', qaconv=True, loss='class memory', images=1, graph=False, steady=True),
    Row(
        'class memory, rate / 10', qaconv=True, loss='class memory', images=1, graph=False, steady=True, rate=RATE / 10
    ),
    Row('class memory, B = 8', qaconv=True, loss='class memory', images=1, batch=8, graph=False, steady=True),
]
AS_PUBLISHED = dict(qaconv=True, loss='score triplet', images=2, pk_epochs=PUBLISHED_PK_EPOCHS, published=True)
PUBLISHED = [Row('PK, QAConv, SGD', graph=False, **AS_PUBLISHED), Row('GS, QAConv, SGD', **AS_PUBLISHED)]
TABLES = dict(sampling=SAMPLING, matchers=MATCHERS, memory=MEMORIES, published=PUBLISHED)


def small_config(row: Row, roots: dict[str, Path], weights: Path | None, seed: int, epoch: int | None = None) -> Config:
    """Reads a shipped config and makes it small: network, images, batches and epochs.

    Args:
        row (Row): What to train.
        roots (dict[str, Path]): The data of each domain.
        weights (Path, optional): The warm start. None, or a row without it, leaves the backbone random.
        seed (int): Seed of the run.
        epoch (int, optional): Iterations of an epoch. Defaults to None: those of the row.

    Returns:
        Config: The config, without ``work_dir``.
    """
    cfg = _load(BASELINE)
    cfg.model = _model(row, cfg, weights)
    small = _load(QUICKSTART)
    for section in ('train_dataloader', 'test_dataloader'):
        cfg[section].num_workers = 0
        cfg[section].dataset.pipeline = resized(small[section].dataset.pipeline, row.size)
    cfg.train_dataloader.dataset.data_root = str(roots[DOMAINS[0]])
    cfg.test_dataloader = [_test_loader(cfg.test_dataloader, name, roots[name]) for name in DOMAINS]
    cfg.val_dataloader = cfg.test_dataloader[0]
    cfg.randomness = dict(seed=seed)
    cfg.default_hooks.checkpoint = dict(type='SafeCheckpointHook', interval=-1, save_last=True)
    if row.published:
        cfg.optim_wrapper = _load(QACONV).optim_wrapper
    else:
        cfg.optim_wrapper.optimizer.lr = row.rate
    _set_length(cfg, row, epoch)
    return cfg


def resized(pipeline: list[dict], size: tuple[int, int]) -> list[dict]:
    """Sets the size of images; the padding of crops grows with it."""
    height, width = size
    for step in pipeline:
        if step['type'] == 'Resize':
            step['scale'] = (width, height)
        elif step['type'] == 'RandomCrop':
            step.update(crop_size=size, padding=step['padding'] * height // step['crop_size'][0])
    return pipeline


def take_size(cfg: Config, size: tuple[int, int], maps: tuple[int, int]) -> None:
    """Gives a config images and maps of other heights and widths than those of its row."""
    cfg.model.matcher['size'] = maps
    for loader in (cfg.train_dataloader, *cfg.test_dataloader):
        loader.dataset.pipeline = resized(loader.dataset.pipeline, size)


def _load(name: str) -> Config:
    return load_config(str(ROOT / 'configs' / name))


def _model(row: Row, cfg: Config, weights: Path | None) -> dict:
    start = dict(type='Pretrained', checkpoint=str(weights), prefix='backbone') if weights and row.warm_start else None
    backbone = dict(cfg.model.backbone, depth=18, base_channels=WIDTH, init_cfg=start)
    if not row.qaconv:
        model = cfg.model.to_dict()
        model['neck'].update(in_channels=8 * WIDTH, pool=dict(type='GeneralizedMeanPooling'))
        model['head'].update(in_channels=8 * WIDTH, loss_metric=LOSSES[row.loss])
        return model | dict(backbone=backbone)
    model = _load(MEMORY if row.loss == 'class memory' else QACONV).model.to_dict()
    channels = model['neck']['out_channels'] = 4 * WIDTH
    model['neck']['in_channels'] = 4 * WIDTH
    model['matcher']['size'] = row.maps
    if row.loss == 'class memory':
        model['head']['loss_memory'].update(channels=channels, size=row.maps)
    else:
        model['head']['loss_score'] = LOSSES[row.loss]
    # Images and norms of the backbone as the warm start has them, so that matcher and loss are all that differs.
    del model['data_preprocessor']
    return model | dict(backbone=dict(backbone, out_indices=(2,)), backbone_norm_eval=row.published)


def _test_loader(loader: dict, name: str, root: Path) -> dict:
    dataset = dict(loader['dataset'], data_root=str(root), name=name)
    return dict(loader, dataset=dataset)


def _set_length(cfg: Config, row: Row, epoch: int | None) -> None:
    length, epochs = (SHORT_EPOCH, SHORT_EPOCHS) if row.steady else (EPOCH, EPOCHS)
    if row.published:
        epochs = PUBLISHED_EPOCHS
    pk_epochs = row.pk_epochs * EPOCH // length
    loader = cfg.train_dataloader
    loader.batch_size = row.batch
    if row.images > 1:
        warm_up = pk_epochs if row.graph else epochs
        loader.sampler = dict(type='GraphIdentitySampler', warmup=warm_up, batches_per_epoch=epoch or length)
        loader.batch_sampler.instance_sampler.num_instances = row.images
    else:  # about as many images; an epoch shows each once
        images = PLAN['train_ids'] * WORLD['cameras'] * PLAN['images_per_camera']
        epochs = round(length * epochs * 64 / images)
        loader.sampler = dict(type='DefaultSampler', shuffle=True)
        loader.batch_sampler = dict(type='RandomImageBatchSampler')
    if not row.graph:
        cfg.custom_hooks = [hook for hook in cfg.custom_hooks if hook['type'] != 'GraphSamplingHook']
    cfg.train_cfg.update(max_epochs=epochs, val_interval=1)
    if row.published:  # one drop, at a fixed time for both samplers
        cfg.param_scheduler = [dict(type='MultiStepLR', milestones=[epochs * 3 // 4], gamma=0.1, by_epoch=True)]
        return
    cfg.param_scheduler = [dict(type='LinearLR', start_factor=0.1, begin=0, end=WARM_UP, by_epoch=False)]
    if not row.steady:
        end = epochs * (epoch or length)
        cfg.param_scheduler.append(dict(type='CosineAnnealingLR', begin=WARM_UP, end=end, by_epoch=False))
