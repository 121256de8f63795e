# Copyright (c) mmreid contributors. All rights reserved.
"""A short reproduction: drawn people in the layouts of the real data sets, and a training of two epochs."""

import shutil
from pathlib import Path

from mmengine.config import Config

from mmreid.datasets.preparation.checking import leaf_configs
from mmreid.datasets.synthetic import (
    CUHK03NPPlan,
    DukePlan,
    LayoutPlan,
    LLCMPlan,
    MarketPlan,
    MSMT17Plan,
    RandPersonPlan,
    RegDBPlan,
    SYSUPlan,
    write_dataset,
)
from mmreid.registry import DATASETS
from mmreid.utils.atomic_folder import atomic_folder

SIZE = (128, 64)  # height, width
EPOCHS = 2
# Enough identities and images for the batches of the shipped configs, and no more cameras than that takes.
_FOUR = dict(cameras=4)
PLANS: dict[str, tuple[LayoutPlan, dict]] = {
    'Market1501': (MarketPlan(train_ids=40, test_ids=10, camstyle=True), _FOUR),
    'DukeMTMC': (DukePlan(train_ids=40, test_ids=10), _FOUR),
    'MSMT17': (MSMT17Plan(train_ids=40, test_ids=10), _FOUR),
    'CUHK03NP': (CUHK03NPPlan(train_ids=40, test_ids=10), {}),
    'RandPerson': (RandPersonPlan(train_ids=40), _FOUR),
    'SYSUMM01': (SYSUPlan(train_ids=20, val_ids=4, test_ids=8), {}),
    'RegDB': (RegDBPlan(ids=40), {}),
    'LLCM': (LLCMPlan(train_ids=20, test_ids=8), {}),
}


def draw_people(cfg: Config, workers: int = 1) -> list[Path]:
    """Draws the data sets of a config where it expects them, with styled images where it reads them from a folder.

    Args:
        cfg (Config): The recipe.
        workers (int): Processes that draw. Defaults to 1.

    Returns:
        list[Path]: The folders.

    Raises:
        FileExistsError: If a folder holds anything but the same drawn people.
        ValueError: If a data set has a layout that cannot be drawn.
    """
    folders: dict[Path, dict] = {}
    for dataset in _datasets(cfg):
        if dataset['type'] not in PLANS:
            raise ValueError(f'--rehearse cannot draw people in the layout of {dataset["type"]}; it knows {[*PLANS]}')
        folders.setdefault(Path(dataset['data_root']), dataset)
    for seed, (folder, dataset) in enumerate(sorted(folders.items())):
        plan, cameras = PLANS[dataset['type']]
        write_dataset(folder, plan.make_world(seed=seed, size=SIZE, **cameras), plan, workers=workers)
    for dataset in _datasets(cfg):
        for step in dataset.get('pipeline', ()):
            if step['type'] == 'LoadCamStyleImage':
                _copy_as_styles(dataset, step.get('folder'))
    return sorted(folders)


def shorten(cfg: Config) -> None:
    """Makes a training take two epochs, with a checkpoint after each."""
    cfg.train_cfg.max_epochs = EPOCHS
    if 'warmup_epochs' in cfg.train_cfg:
        cfg.train_cfg.warmup_epochs = 1
    if 'rounds' in cfg.train_cfg:  # of a search by short trainings
        cfg.train_cfg.rounds = [dict(new=2, epochs=1, folds=1)]
        cfg.param_scheduler = []  # which would be longer than the training
    cfg.default_hooks.checkpoint.interval = 1
    for hook in cfg.custom_hooks:
        if hook['type'] == 'FreezeHook':
            hook['end'] = 0
        if hook['type'] == 'PseudoLabelHook':
            hook['clustering'].update(k1=8, k2=3)  # eight images of each person
    drawing = cfg.train_dataloader.get('batch_sampler', {})
    for part in (drawing, *(part.get('batch_sampler', {}) for part in drawing.get('parts', ()))):
        if 'batches_per_epoch' in part:
            part['batches_per_epoch'] = 2


def _datasets(cfg: Config) -> list[dict]:
    loaders: list[dict] = []
    for name in ('train_dataloader', 'val_dataloader', 'test_dataloader'):
        loader = cfg.get(name) or []
        loaders += loader if isinstance(loader, list) else [loader]
    return [leaf for loader in loaders for leaf in leaf_configs(loader['dataset'])]


def _copy_as_styles(dataset: dict, folder: str | None) -> None:
    """Writes images in the style of the other cameras that are copies of the real ones, unless there are any."""
    built = DATASETS.build(dict(dataset, pipeline=[]))
    records = [built.get_data_info(index) for index in range(len(built))]
    folder = Path(folder or f'{Path(records[0]["img_path"]).parent}_camstyle')
    if folder.is_dir():
        return
    cameras = sorted({record['camid'] for record in records})
    with atomic_folder(folder, lambda: None) as part:
        for record in records:
            path = Path(record['img_path'])
            for camera in cameras:
                if camera != record['camid']:  # named as those of MSMT17
                    shutil.copyfile(path, part / f'{path.stem}_fake_{camera + 1}{path.suffix}')
