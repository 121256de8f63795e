# Copyright (c) mmreid contributors. All rights reserved.
"""The drawn visible-infrared people, the small network and the short training that several comparisons share."""

from collections.abc import Callable
from pathlib import Path

from claims.floors import measure_floors
from claims.runs import build
from mmengine.config import Config

from mmreid.datasets.synthetic import SYSUPlan, write_dataset

METRICS = ('mAP', 'mINP', 'Rank-1')
# The infrared cameras are far from the visible ones: gain, level, contrast and lamp half as strong again as designed.
# What makes people hard to learn within a minute is taken back.
WORLD = dict(
    domain='default', size=(64, 32), ir_strength=1.5, ir_color_dependence=0.9, ir_texture=1.0, cluster_fraction=0.0,
    noise_strength=0.5, blur_strength=0.5, pose_variation=0.5, crop_jitter=0.5,
)  # fmt: skip
PLAN = dict(train_ids=96, val_ids=4, test_ids=60, images_per_camera=4)
BATCH, EPOCH = 64, 10  # 8 identities x (4 visible + 4 infrared) images; iterations of an epoch
EPOCHS, WARM_UP = 20, 2
WIDTH = 16


def make_world(folder: Path, seed: int) -> Path:
    """Draws the people of a seed, or finds them; returns their folder."""
    plan = SYSUPlan(**PLAN)
    write_dataset(folder, plan.make_world(seed=seed, **WORLD), plan)
    return folder


def shrink(cfg: Config, data_root: Path, weights: Path | None, seed: int) -> None:
    """Gives a config for SYSU-MM01 the small network and images, and one test: all search, single-shot.

    Args:
        cfg (Config): The config; its validation is left as it is.
        data_root (Path): The procedural people.
        weights (Path, optional): The warm start. None leaves the backbone random.
        seed (int): Seed of the run.
    """
    start = dict(type='Pretrained', checkpoint=str(weights), prefix='backbone') if weights else None
    cfg.model.backbone.update(depth=18, base_channels=WIDTH, init_cfg=start)
    for part in ('neck', 'head'):
        cfg.model[part].in_channels = 8 * WIDTH
    for loader in (cfg.train_dataloader, cfg.test_dataloader):
        shrink_loader(loader, data_root)
    cfg.test_evaluator = dict(type='SYSUMetric', mode='all', shot=1, trials=10)
    cfg.train_dataloader.sampler.batches_per_epoch = EPOCH
    cfg.randomness = dict(seed=seed)
    cfg.channels_last = True  # a fifth less time on a CPU
    cfg.default_hooks.checkpoint = dict(type='SafeCheckpointHook', interval=-1, save_last=True)


def shrink_loader(loader: dict, data_root: Path) -> None:
    """Takes small batches of small images of these people."""
    loader.update(num_workers=0, batch_size=BATCH)
    dataset = loader.dataset.get('dataset', loader.dataset)
    dataset.data_root = str(data_root)
    height, width = WORLD['size']
    for step in dataset.pipeline:
        if step['type'] == 'Resize':
            step['scale'] = (width, height)
        if step['type'] == 'RandomCrop':
            step.update(crop_size=(height, width), padding=3)


def shorten(cfg: Config) -> None:
    """Gives a training few epochs: warm-up and cosine, and weights averaged over about one pass through the images."""
    cfg.train_cfg.update(max_epochs=EPOCHS, val_interval=EPOCHS)
    cfg.param_scheduler = [
        dict(type='LinearLR', start_factor=0.1, begin=0, end=WARM_UP, by_epoch=True, convert_to_iter_based=True),
        dict(type='CosineAnnealingLR', begin=WARM_UP, end=EPOCHS, by_epoch=True, convert_to_iter_based=True),
    ]
    images = (PLAN['train_ids'] + PLAN['val_ids']) * 6 * PLAN['images_per_camera']
    for hook in cfg.custom_hooks:
        if hook['type'] == 'EMAHook':
            hook['momentum'] = BATCH / images


def test_average(cfg: Config, work_dir: Path) -> dict[str, float]:
    """Tests the average of the weights, which stands in the last checkpoint in their place; removes that file."""
    cfg.load_from = (work_dir / 'last_checkpoint').read_text().strip()
    metrics = short(build(cfg, work_dir / 'test').test())
    Path(cfg.load_from).unlink()
    return metrics


def floors(
    work_dir: Path, untrained: Callable[[Path | None], Config], weights: Path | None, seed: int
) -> dict[str, dict]:
    """Tests what has learned nothing about these people, see :func:`measure_floors`."""

    def without_classes(start: Path | None) -> Config:
        cfg = untrained(start)
        cfg.channels_last = False  # raw pixels have no network
        cfg.model.head.num_classes = 1  # a classifier counts the training identities, of which there are none here
        return cfg

    return measure_floors(work_dir, without_classes, weights, WORLD['size'], short, seed)


def short(metrics: dict[str, float]) -> dict[str, float]:
    """Keeps the metrics of the table, without the names of data set and search."""
    kept = {key.rsplit('/', 1)[-1]: value for key, value in metrics.items()}
    return {name: float(kept[name]) for name in METRICS}
