# Copyright (c) mmreid contributors. All rights reserved.
"""The shipped configs of ECN and of the camera-style network, made small: what is compared, and on what."""

from dataclasses import dataclass, field, replace
from pathlib import Path

from mmengine.config import Config, ConfigDict

from mmreid.utils.config import load_config

ROOT = Path(__file__).resolve().parents[2]
END = '_resnet50_1xb256-60e_msmt2market-256x128.py'
SOURCE_ONLY = 'ecn/ecn-source-only_resnet50_1xb128-60e_msmt2market-256x128.py'
STARGAN = 'camstyle/stargan_1xb16-220e_market1501-256x128.py'

SIZE = (64, 32)  # height, width
# What makes people hard to learn within a minute is taken back.
EASY = dict(cluster_fraction=0.0, noise_strength=0.5, blur_strength=0.5, pose_variation=0.5, crop_jitter=0.5)
SOURCE = dict(domain='default', cameras=3, **EASY)
TARGET = dict(domain='other', cameras=4, **EASY)
WIDTH = 16
BATCH = 32  # images of each domain
FROZEN = 1  # stages; 2 are shipped, behind ImageNet weights
RATE = 0.1  # SGD, of new layers
# Of ECN++; shipped are 100 candidates, and layers eight times as wide.
GRAPH = dict(type='GraphPositivePrediction', k=40, channels=(128, 32, 32, 32))
GAN_WIDTH, GAN_BLOCKS, GAN_LAYERS = 16, 3, 5
GAN_EPOCHS, GAN_EPOCH, GAN_BATCH = 10, 100, 8  # epochs, iterations of each, images of a batch; shipped is 16
GAN_CRITIC = 1  # iterations for each of the generator; 5 are shipped, and would leave 200 of the generator
GAN_RATE = 5e-4  # for 1,000 iterations; 1e-4 is shipped, for 220,000


@dataclass(frozen=True)
class Setting:
    """What the rows of a table share.

    Attributes:
        name (str): Names its results; empty for the first.
        cast (float): How much the target's cameras differ in color, 1 as designed.
        source_plan (dict): How many source people and images there are.
        target_plan (dict): The same of the target.
        embedding (int): Its size; 4096 is shipped.
        epochs (int): Passes over the source; 60 are shipped.
        backbone_rate (float): The backbone's learning rate, relative to that of new layers; 0.1 is shipped.
        held_out (int): One of this many source people is held out of all trainings, rows start from a network that was
            trained on the others, and neighbors wait until half of those of the held-out people are right; 0 for none
            of this.
    """

    name: str
    cast: float
    source_plan: dict
    target_plan: dict
    embedding: int
    epochs: int
    backbone_rate: float
    held_out: int = 0

    @property
    def worlds(self) -> tuple:
        """tuple: Everything that people are drawn from, except the seed."""
        return SOURCE, self.source_plan, dict(TARGET, cast_strength=self.cast), self.target_plan


SHORT = Setting(
    '',
    cast=1.5,
    source_plan=dict(train_ids=100, test_ids=1, images_per_camera=2),
    target_plan=dict(train_ids=100, test_ids=100, images_per_camera=2, camstyle=True),
    embedding=512,
    epochs=15,
    backbone_rate=1.0,
)
LONG = Setting(
    'long',
    cast=1.0,
    source_plan=dict(train_ids=64, test_ids=1, images_per_camera=4),
    target_plan=dict(train_ids=60, test_ids=100, images_per_camera=4, camstyle=True),
    embedding=2048,
    epochs=60,
    backbone_rate=0.1,
    held_out=4,
)


@dataclass(frozen=True)
class Row:
    """A training.

    Attributes:
        name (str): Name in the tables.
        config (str): Shipped config.
        generated (bool): Camera-style images of our own network instead of those that the world draws.
        on_target (bool): Take the target, with its labels, as the source.
        invariance (dict): Changes of ``model.head.invariance``.
        longer (int): How many times the epochs of the setting it takes.
        setting (Setting): What it shares with other rows.
        backbone_rate (float, optional): Instead of that of the setting.
    """

    name: str
    config: str
    generated: bool = False
    on_target: bool = False
    invariance: dict = field(default_factory=dict)
    longer: int = 1
    setting: Setting = SHORT
    backbone_rate: float | None = None

    @property
    def waits(self) -> bool:
        """bool: Whether its neighbors wait until they are right."""
        return bool(self.setting.held_out) and self.config in WITH_NEIGHBORS and not self.invariance


E_C = Row('E+C', f'ecn/ecn-ec{END}')
E_N = Row('E+N', f'ecn/ecn-en{END}')
E_C_N = Row('E+C+N', f'ecn/ecn{END}')
ECN_PP = Row('ECN++', f'ecn/ecnpp{END}')
WITH_NEIGHBORS = (E_N.config, E_C_N.config, ECN_PP.config)
RIGHT_ONLY = dict(neighbors=dict(type='TrueSlots', k=6))
LADDER = [
    Row('source only', SOURCE_ONLY),
    Row('E', f'ecn/ecn-e{END}'),
    E_C,
    E_N,
    E_C_N,
    ECN_PP,
    Row('E+C+N, mini-batch', f'ecn/ecn-minibatch{END}'),
    Row('supervised on the target', SOURCE_ONLY, on_target=True),
]
STYLES = [
    E_N,
    Row('E+C+N, color statistics', f'ecn/ecn-color{END}'),
    Row('E+C+N, StarGAN', f'ecn/ecn{END}', generated=True),
    E_C_N,
]
NEIGHBORS = [
    E_C,
    E_C_N,
    Row('E+C+N, from the 11th epoch', f'ecn/ecn{END}', invariance=dict(neighbor_epoch=10)),
    Row('E+C+N, right ones only', f'ecn/ecn{END}', invariance=RIGHT_ONLY),
    Row('E+C, 60 epochs', E_C.config, longer=4),
    Row('E+C+N, 60 epochs', E_C_N.config, longer=4),
    ECN_PP,
    Row('ECN++, no norms in the graph', ECN_PP.config, invariance=dict(neighbors=dict(GRAPH, norm=False))),
]
START = Row('source only', SOURCE_ONLY, setting=LONG, backbone_rate=1.0)  # what the other rows start from
LONG_LADDER = [
    START,
    *(replace(row, setting=LONG) for row in LADDER if row.name in ('E', 'E+C', 'E+N', 'E+C+N', 'ECN++')),
    Row('E+C+N, right ones only', f'ecn/ecn{END}', invariance=RIGHT_ONLY, setting=LONG),
    Row('supervised on the target', SOURCE_ONLY, on_target=True, setting=LONG),
]
TABLES = dict(ladder=LADDER, styles=STYLES, neighbors=NEIGHBORS, long=LONG_LADDER)


def small_config(row: Row, roots: dict[str, Path], weights: Path | None, seed: int) -> Config:
    """Reads a shipped config and makes it small: network, images, batches and epochs; all else is as shipped.

    Args:
        row (Row): What to train.
        roots (dict[str, Path]): ``source`` and ``target`` people, and ``generated`` styles.
        weights (Path, optional): The warm start, or what was trained on the source. None leaves the network random.
        seed (int): Seed of the run.

    Returns:
        Config: The config, without ``work_dir``.
    """
    cfg, setting = load_config(str(ROOT / 'configs' / row.config)), row.setting
    _shrink_model(cfg.model, weights, setting)
    cfg.model.head.invariance.update(row.invariance)
    data = cfg.train_dataloader.dataset
    for dataset in data.get('datasets', [data]):
        _shrink_dataset(dataset, roots)
    if row.generated:
        data.datasets[1].pipeline[0].folder = str(roots['generated'])
    if row.on_target:
        data.update(type='Market1501', data_root=str(roots['target']))
    elif setting.held_out:
        _hold_out(cfg, row)
    parts = cfg.train_dataloader.batch_sampler.get('parts', ())
    cfg.train_dataloader.update(num_workers=0, batch_size=BATCH * max(1, len(parts)))
    for part in parts:
        part.batch_size = BATCH
    cfg.test_dataloader.num_workers = 0
    _shrink_dataset(cfg.test_dataloader.dataset, roots)
    cfg.val_dataloader = cfg.val_evaluator = cfg.val_cfg = None
    _set_length(cfg, setting.epochs * row.longer)
    of_model = cfg.optim_wrapper.get('model', cfg.optim_wrapper)  # the graph of ECN++ has an optimizer of its own
    of_model.optimizer.lr = RATE
    of_model.paramwise_cfg.custom_keys.backbone.lr_mult = row.backbone_rate or setting.backbone_rate
    return _of_run(cfg, seed)


def gan_config(root: Path, seed: int) -> Config:
    """Reads the shipped config of the camera-style network and makes it small.

    Args:
        root (Path): The target.
        seed (int): Seed of the run.

    Returns:
        Config: The config, without ``work_dir``.
    """
    cfg = load_config(str(ROOT / 'configs' / STARGAN))
    cfg.model.update(size=SIZE, n_critic=GAN_CRITIC)
    cfg.model.generator.update(base_channels=GAN_WIDTH, num_blocks=GAN_BLOCKS)
    cfg.model.discriminator.update(base_channels=GAN_WIDTH, num_layers=GAN_LAYERS)
    cfg.train_dataloader.update(num_workers=0, batch_size=GAN_BATCH)
    cfg.train_dataloader.batch_sampler.batches_per_epoch = GAN_EPOCH
    _shrink_dataset(cfg.train_dataloader.dataset, dict(target=root))
    cfg.train_cfg.max_epochs = GAN_EPOCHS
    end = GAN_EPOCH * GAN_EPOCHS
    cfg.param_scheduler[0].update(begin=end // 2, end=end)
    for network in ('generator', 'discriminator'):
        cfg.optim_wrapper[network].optimizer.lr = GAN_RATE
    return _of_run(cfg, seed)


def _of_run(cfg: Config, seed: int) -> Config:
    cfg.randomness = dict(seed=seed)
    cfg.default_hooks.checkpoint = dict(type='SafeCheckpointHook', interval=-1, save_last=True)
    return cfg


def _set_length(cfg: Config, epochs: int) -> None:
    """Sets the epochs, and scales what depends on them from the 60 that are shipped."""
    cfg.train_cfg.max_epochs = epochs
    cfg.train_cfg.pop('val_interval')
    cfg.param_scheduler[0].milestones = [epochs * 40 // 60]
    for hook in cfg.custom_hooks:
        if hook['type'] == 'MemoryUpdateHook':  # so that the fraction of the old slot grows as far
            hook['alpha'] = 0.01 * 60 / epochs


def _hold_out(cfg: Config, row: Row) -> None:
    """Takes people out of the source, and lets neighbors wait until those of these people are right."""
    data = cfg.train_dataloader.dataset
    source = (data.datasets[0] if 'datasets' in data else data).to_dict()
    split = dict(type='IdentitySplit', folds=row.setting.held_out, dataset=source)
    trained = ConfigDict(split, part='train')
    if 'datasets' in data:
        data.datasets[0] = trained
    else:
        cfg.train_dataloader.dataset = trained
    if row.waits:
        cfg.model.head.invariance.neighbor_precision = 0.5
        cfg.custom_hooks = [
            *cfg.custom_hooks,
            ConfigDict(type='NeighborStartHook', dataset=dict(split, part='held_out')),
        ]


def _shrink_model(model: dict, weights: Path | None, setting: Setting) -> None:
    start = dict(type='Pretrained', checkpoint=str(weights), prefix='backbone') if weights else None
    # Strides and pooling are those of the warm start: at 64x32 few locations are left.
    model.backbone.update(depth=18, base_channels=WIDTH, strides=(1, 2, 2, 1), frozen_stages=FROZEN, init_cfg=start)
    pool = dict(type='GeneralizedMeanPooling')
    model.neck.update(in_channels=8 * WIDTH, out_channels=setting.embedding, pool=pool)
    model.head.in_channels = setting.embedding
    if (model.head.invariance.get('neighbors') or {}).get('type') == GRAPH['type']:
        model.head.invariance.neighbors.update(GRAPH)


def _shrink_dataset(dataset: dict, roots: dict[str, Path]) -> None:
    if dataset['type'] == 'MSMT17':  # the source; its people are drawn in the layout of DukeMTMC-reID
        dataset.update(type='DukeMTMC', data_root=str(roots['source']))
    else:
        dataset['data_root'] = str(roots['target'])
    height, width = SIZE
    for step in dataset['pipeline']:
        if step['type'] == 'RandomResizedCrop':
            step['scale'] = SIZE
        elif step['type'] == 'RandomCrop':  # of the camera-style network, an eighth smaller than what it is cut from
            step['crop_size'] = SIZE
        elif step['type'] == 'Resize':
            cut = any(other['type'] == 'RandomCrop' for other in dataset['pipeline'])
            step['scale'] = (width * 9 // 8, height * 9 // 8) if cut else (width, height)
